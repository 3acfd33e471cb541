package spa

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestContrast computes what WCAG 2.2 AA asks for (1.4.3 and 1.4.11) from the colours of the style sheet itself, in the
// light and in the dark scheme.
func TestContrast(t *testing.T) {
	css, err := site.ReadFile("site/style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, found := strings.Cut(string(css), "@media(prefers-color-scheme:dark)")
	if !found {
		t.Fatal("there is no dark scheme")
	}
	dark, _, _ = strings.Cut(dark, "}}")
	pairs := []struct {
		front, back string
		least       float64
	}{
		{"ink", "card", 7}, {"ink", "paper", 7}, {"quiet", "card", 4.5}, {"quiet", "paper", 4.5},
		{"on-accent", "accent", 4.5}, {"on-accent", "accent-deep", 4.5}, {"accent", "card", 4.5},
		{"alarm", "alarm-ground", 4.5},
		{"accent", "paper", 4.5}, {"alarm", "card", 4.5}, {"alarm", "paper", 4.5},
		{"line", "card", 3}, {"line", "paper", 3}, // borders of buttons
	}
	for scheme, text := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+):#([0-9a-f]{6})`).FindAllStringSubmatch(text, -1) {
			colours[m[1]] = luminance(t, m[2])
		}
		for _, pair := range pairs {
			front, ok1 := colours[pair.front]
			back, ok2 := colours[pair.back]
			if !ok1 || !ok2 {
				t.Errorf("%s: %s or %s is missing", scheme, pair.front, pair.back)
				continue
			}
			ratio := (math.Max(front, back) + 0.05) / (math.Min(front, back) + 0.05)
			if ratio < pair.least {
				t.Errorf("%s: %s on %s has %.2f:1, less than %.1f:1", scheme, pair.front, pair.back, ratio, pair.least)
			}
		}
	}
}

// luminance is the relative luminance of WCAG 2.2.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		value, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(value) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
