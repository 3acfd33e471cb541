package browser

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/phantomgate/phantomgate/testbed/chromiumtest"
)

const patience = chromiumtest.Patience

var (
	phone   = chromiumtest.Phone
	desktop = chromiumtest.Desktop
)

// tab is a page in a browser.
type tab struct{ *chromiumtest.Tab }

func open(t *testing.T, browser context.Context, s chromiumtest.Size, scheme, address string) tab {
	t.Helper()
	return tab{chromiumtest.Open(t, browser, s, scheme, address)}
}

// keep takes a screenshot of what a person sees, or of the whole page.
func (p tab) keep(name string, whole bool) {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, patience)
	defer cancel()
	shoot := chromedp.CaptureScreenshot()
	if whole {
		shoot = chromedp.FullScreenshot(100) // which is PNG
	}
	shot, err := chromedp.Run(ctx, shoot)
	if err != nil {
		p.T.Fatal(err)
	}
	dir := filepath.Join("..", "..", "..", "build", "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.T.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), shot, 0o644); err != nil {
		p.T.Fatal(err)
	}
}
