// Package chromiumtest is a person at a real Chromium, for tests: it opens pages, presses what they show, and waits until they
// say what is expected.
package chromiumtest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Patience is how long a page may take to show what is awaited, on a machine that does much else.
const Patience = 60 * time.Second

// Size is a screen.
type Size struct {
	Name          string
	Width, Height int64
}

// The screens that people have.
var (
	Phone   = Size{"phone", 390, 844}
	Desktop = Size{"desktop", 1280, 900}
)

// Binary finds Chromium. Without it the test is skipped, but fails where CI=true.
func Binary(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("there is no Chromium; .ci/run installs it")
	}
	t.Skip("SKIPPED, the shop is not tested in a browser: there is no Chromium; install the package chromium")
	return ""
}

// Start starts a browser with an empty profile; the test ends it.
func Start(t *testing.T) context.Context {
	t.Helper()
	binary := Binary(t)
	// No sandbox: a container's root has none, and the pages are our own. The profile is chromedp's to make, since it removes it
	// when Chromium's children, which may outlive it and write there, are gone too.
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(binary), chromedp.NoSandbox,
		chromedp.Flag("enable-blink-features", "ComputedAccessibilityInfo")) // Element.computedName
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("ending Chromium: %v", err)
		}
		end()
		endAllocator()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal("starting Chromium: ", err)
	}
	return ctx
}

// Tab is a page in a browser. Tabs of one browser share its cookies.
type Tab struct {
	T   *testing.T
	Ctx context.Context // what chromedp knows the page by
}

// Open makes a tab of this size, light or dark, and goes to an address. When the page's script fails, so does the test.
func Open(t *testing.T, browser context.Context, s Size, scheme, address string) *Tab {
	t.Helper()
	ctx, end := chromedp.NewContext(browser)
	t.Cleanup(end)
	p := &Tab{t, ctx}
	if err := chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*runtime.EventExceptionThrown); ok {
			t.Errorf("the page's script failed: %+v", e.ExceptionDetails)
		}
	}); err != nil {
		t.Fatal(err)
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	p.Do(
		chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, media)
			return err
		}),
		chromedp.EmulateViewport(s.Width, s.Height),
		chromedp.Navigate(address),
	)
	return p
}

// Do takes steps of chromedp.
func (p *Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.T.Fatalf("%v; the page says:\n%s", err, p.Text())
	}
}

// Text is what the page says, for messages.
func (p *Tab) Text() string {
	ctx, cancel := context.WithTimeout(p.Ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return text
}

// Awaits waits until a condition on the page holds: it is looked at when the page changes. A page that is left while it is
// watched is followed by the next.
func (p *Tab) Awaits(condition string) {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, Patience)
	defer cancel()
	watch := `new Promise((done) => {
		const look = () => { if (document.body && (` + condition + `)) { observer.disconnect(); done('held'); } };
		const observer = new MutationObserver(look);
		observer.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
		document.addEventListener('readystatechange', look); // no mutation, but a change
		look();
	})`
	for {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[string](watch, awaitPromise))
		switch {
		case err == nil:
			return
		case ctx.Err() != nil:
			p.T.Fatalf("it never came that %s; the page says:\n%s", condition, p.Text())
		}
	}
}

func awaitPromise(e *runtime.EvaluateParams) {
	yes := true
	e.AwaitPromise = &yes
}

// Sees waits until the page shows this text.
func (p *Tab) Sees(text string) {
	p.T.Helper()
	p.Awaits(`document.body.innerText.includes(` + Quote(text) + `)`)
}

// Click presses a button or link, found by the text it shows within a part of the page. It waits until it is there.
func (p *Tab) Click(within, text string) {
	p.T.Helper()
	find := `[...document.querySelectorAll(` + Quote(within+" :is(a,button)") + `)].find((e) => e.innerText === ` + Quote(text) + `)`
	p.Awaits(find)
	p.Eval(find + `.click()`)
}

// Eval runs an expression, awaits its promise, and returns what comes of it as text.
func (p *Tab) Eval(expression string) string {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, Patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(async () => String(await (`+expression+`)))()`, awaitPromise))
	if err != nil {
		p.T.Fatalf("%s: %v; the page says:\n%s", expression, err, p.Text())
	}
	return text
}

// FillIn fills in the issuer's sign-in page, and sends it.
func (p *Tab) FillIn(login, password string) {
	p.T.Helper()
	p.Awaits(`document.querySelector("input[name=password]")`)
	p.Eval(`(document.querySelector("input[name=login]").value = ` + Quote(login) + `, document.querySelector("input[name=password]").value = ` + Quote(password) + `)`)
	p.Click("main", "Sign in")
}

// Quote writes a text as a script has it.
func Quote(s string) string { return strconv.Quote(s) }
