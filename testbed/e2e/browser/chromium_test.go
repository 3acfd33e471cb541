package browser

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take to show what is awaited, on a machine that does much else.
const patience = 60 * time.Second

// size is a screen.
type size struct {
	name          string
	width, height int64
}

var (
	phone   = size{"phone", 390, 844}
	desktop = size{"desktop", 1280, 900}
)

// chromiumBinary finds Chromium. Without it the test is skipped, but fails where CI=true.
func chromiumBinary(t *testing.T) string {
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

// chromium starts a browser with an empty profile; the test ends it.
func chromium(t *testing.T) context.Context {
	t.Helper()
	binary := chromiumBinary(t)
	// No sandbox: a container's root has none, and the pages are our own.
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(binary), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("enable-blink-features", "ComputedAccessibilityInfo")) // Element.computedName, for wellMadeControls
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

// tab is a page in a browser. Tabs of one browser share its cookies.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// open makes a tab of this size, light or dark, and goes to an address. When the page's script fails, so does the test.
func open(t *testing.T, browser context.Context, s size, scheme, address string) *tab {
	t.Helper()
	ctx, end := chromedp.NewContext(browser)
	t.Cleanup(end)
	p := &tab{t, ctx}
	if err := chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*runtime.EventExceptionThrown); ok {
			t.Errorf("the page's script failed: %+v", e.ExceptionDetails)
		}
	}); err != nil {
		t.Fatal(err)
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	p.do(
		chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, media)
			return err
		}),
		chromedp.EmulateViewport(s.width, s.height),
		chromedp.Navigate(address),
	)
	return p
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%v; the page says:\n%s", err, p.text())
	}
}

// text is what the page says, for messages.
func (p *tab) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return text
}

// awaits waits until a condition on the page holds: it is looked at when the page changes. A page that is left while it is
// watched is followed by the next.
func (p *tab) awaits(condition string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
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
			p.t.Fatalf("it never came that %s; the page says:\n%s", condition, p.text())
		}
	}
}

func awaitPromise(e *runtime.EvaluateParams) {
	yes := true
	e.AwaitPromise = &yes
}

// sees waits until the page shows this text.
func (p *tab) sees(text string) {
	p.t.Helper()
	p.awaits(`document.body.innerText.includes(` + quote(text) + `)`)
}

// click presses a button or link, found by the text it shows within a part of the page. It waits until it is there.
func (p *tab) click(within, text string) {
	p.t.Helper()
	find := `[...document.querySelectorAll(` + quote(within+" :is(a,button)") + `)].find((e) => e.innerText === ` + quote(text) + `)`
	p.awaits(find)
	p.eval(find + `.click()`)
}

// eval runs an expression, awaits its promise, and returns what comes of it as text.
func (p *tab) eval(expression string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(async () => String(await (`+expression+`)))()`, awaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v; the page says:\n%s", expression, err, p.text())
	}
	return text
}

// keep takes a screenshot of what a person sees, or of the whole page.
func (p *tab) keep(name string, whole bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	shoot := chromedp.CaptureScreenshot()
	if whole {
		shoot = chromedp.FullScreenshot(100) // which is PNG
	}
	shot, err := chromedp.Run(ctx, shoot)
	if err != nil {
		p.t.Fatal(err)
	}
	dir := filepath.Join("..", "..", "..", "build", "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), shot, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func quote(s string) string { return strconv.Quote(s) }
