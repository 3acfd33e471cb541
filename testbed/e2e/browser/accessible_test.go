package browser

import (
	"net/http"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/chromiumtest"
)

// faultyControls is a script that looks at every control that the page shows, and says what is wrong: its accessible name, as
// Chromium tells it to a screen reader, must hold the text that is seen on it (WCAG 2.5.3), and it must be 24 by 24 CSS pixels at
// least (WCAG 2.5.8). Each has the focus while it is looked at: the skip link is there only then.
const faultyControls = `(() => {
	if (!('computedName' in Element.prototype)) return 'this Chromium tells no accessible names';
	const plain = (text) => text.replace(/\s+/g, ' ').trim().toLowerCase();
	const faults = [];
	const focused = document.activeElement;
	let seen = 0;
	for (const e of document.querySelectorAll('a[href], button, summary, input:not([type=hidden]), select, textarea, [role=button], [tabindex="0"]')) {
		if (!e.checkVisibility({visibilityProperty: true})) continue;
		e.focus({preventScroll: true});
		seen++;
		const name = plain(e.computedName), text = plain(e.innerText), box = e.getBoundingClientRect();
		if (name === '') faults.push('<' + e.localName + '> "' + text + '" has no name');
		else if (!name.includes(text)) faults.push('"' + text + '" is named "' + name + '"');
		if (box.width < 24 || box.height < 24) faults.push('"' + (text || name) + '" is ' + box.width + ' by ' + box.height);
	}
	document.activeElement.blur();
	focused.focus({preventScroll: true}); // which does nothing to the body
	return seen === 0 ? 'there are no controls' : faults.join('; ');
})()`

// wellMadeControls wants every control of the page to be named by what is seen on it, and large enough to be met.
func (p tab) wellMadeControls(page string) {
	p.T.Helper()
	if faults := p.Eval(faultyControls); faults != "" {
		p.T.Errorf("%s: %s", page, faults)
	}
}

// TestFaultyControlsAreSeen is the control of wellMadeControls: a page with each fault, and the same without.
func TestFaultyControlsAreSeen(t *testing.T) {
	browser := chromiumtest.Start(t)
	const good = `<button aria-label="Added (1): Jazz" style="padding:5px">Added (1)</button><a href="/x" style="display:inline-block;padding:9px">Events</a>`
	for markup, faults := range map[string][]string{
		good: nil,
		`<button aria-label="Add Jazz to your basket">Added (1)</button>` + good:                               {`"added (1)" is named "add jazz to your basket"`},
		`<button style="width:23px;height:30px;padding:0">x</button>` + good:                                   {`"x" is 23 by 30`},
		`<button style="width:40px;height:20px">x</button>` + good:                                             {`"x" is 40 by 20`},
		`<button style="width:40px;height:40px"></button>` + good:                                              {`<button> "" has no name`},
		`<input style="height:30px">` + good:                                                                   {`<input> "" has no name`},
		`<p>nothing</p>`:                                                                                       {"there are no controls"},
		`<button style="display:none;width:1px">x</button><button style="visibility:hidden">y</button>` + good: nil,
		`<a href="/" aria-labelledby="l">Basket</a><span id="l">Elsewhere</span>` + good:                       {`"basket" is named "elsewhere"`, "by"},
	} {
		address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte("<!doctype html><title>x</title>" + markup)) // the browser has gone if this fails
		}))
		p := open(t, browser, desktop, "light", "http://"+address)
		got := p.Eval(faultyControls)
		if (got == "") != (len(faults) == 0) {
			t.Errorf("%s: %q", markup, got)
		}
		for _, fault := range faults {
			if !strings.Contains(got, fault) {
				t.Errorf("%s: %q does not say %q", markup, got, fault)
			}
		}
	}
}
