//! The palette, measured: text can be read on what it stands on, bars can be seen, and what says different things differs also
//! for those who do not tell red from green. The figures are WCAG 2.2's (1.4.3, 1.4.11).

use std::collections::BTreeMap;

const STYLE: &str = include_str!("style.css");
const DRAWING: &str = include_str!("coverage.svg");

type Palette = BTreeMap<String, [f64; 3]>;

/// Light, and dark.
fn palettes() -> [Palette; 2] {
    let (light, rest) = STYLE.split_once("@media (prefers-color-scheme: dark)").unwrap();
    let (dark, _) = rest.split_once("* {").unwrap();
    [light, dark].map(|text| {
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix("--")?.strip_suffix(';'));
        lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, hex)| (name.to_owned(), linear(hex)))
            .collect()
    })
}

/// `#2b8a78` as linear red, green and blue.
fn linear(hex: &str) -> [f64; 3] {
    let part = |from: usize| {
        let c = f64::from(u8::from_str_radix(&hex[from..from + 2], 16).unwrap()) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    [part(1), part(3), part(5)]
}

fn luminance([r, g, b]: [f64; 3]) -> f64 {
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    a.max(b) / a.min(b)
}

/// As it is seen without the long (`protan`) or the middle cones, after Viénot, Brettel and Mollon (1999).
fn without(protan: bool, [r, g, b]: [f64; 3]) -> [f64; 3] {
    let (l, m, s) = (
        17.8824 * r + 43.5161 * g + 4.11935 * b,
        3.45565 * r + 27.1554 * g + 3.86714 * b,
        0.0299566 * r + 0.184309 * g + 1.46709 * b,
    );
    let (l, m) = if protan { (2.02344 * m - 2.52581 * s, m) } else { (l, 0.494207 * l + 1.24827 * s) };
    [
        0.0809444479 * l - 0.130504409 * m + 0.116721066 * s,
        -0.0102485335 * l + 0.0540193266 * m - 0.113614708 * s,
        -0.000365296938 * l - 0.00412161469 * m + 0.693511405 * s,
    ]
}

/// CIE L*a*b*, in which distance is difference to the eye.
fn lab([r, g, b]: [f64; 3]) -> [f64; 3] {
    let f = |t: f64| if t > 0.008856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
    let x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047);
    let y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
    let z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

fn difference(a: [f64; 3], b: [f64; 3]) -> f64 {
    lab(a).iter().zip(lab(b)).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn both_schemes_have_the_same_colours() {
    let [light, dark] = palettes();
    assert!(light.len() > 15);
    assert!(light.keys().eq(dark.keys()), "{:?} {:?}", light.keys(), dark.keys());
}

#[test]
fn text_can_be_read_and_bars_can_be_seen() {
    for palette in palettes() {
        for ground in ["card", "paper", "shade"] {
            for text in ["ink", "soft", "accent", "warn", "bad"] {
                let contrast = contrast(palette[text], palette[ground]);
                assert!(contrast >= 4.5, "{text} on {ground}: {contrast:.2}");
            }
        }
        assert!(contrast(palette["card"], palette["accent"]) >= 4.5, "a button");
        for bar in ["archived", "partial", "missing", "open", "risk", "held"] {
            let contrast = contrast(palette[bar], palette["card"]);
            assert!(contrast >= 3.0, "{bar}: {contrast:.2}");
        }
    }
}

#[test]
fn bars_differ_for_who_does_not_tell_red_from_green() {
    for palette in palettes() {
        // What is not archived yet is a flat line: nobody takes it for a bar.
        for (a, b) in [("archived", "partial"), ("archived", "missing"), ("partial", "missing")] {
            for protan in [true, false] {
                let seen = |name| without(protan, palette[name]);
                let difference = difference(seen(a), seen(b));
                assert!(difference > 15.0, "{a} and {b}: {difference:.1}");
            }
        }
    }
}

#[test]
fn the_drawing_has_the_colours_of_the_pages() {
    let (light, dark) = DRAWING.split_once("@media").unwrap();
    let (light_style, rest) = STYLE.split_once("@media (prefers-color-scheme: dark)").unwrap();
    let (dark_style, _) = rest.split_once("* {").unwrap();
    for (style, drawing) in [(light_style, light), (dark_style, dark)] {
        for bar in ["archived", "partial", "missing", "open", "risk", "held"] {
            let (_, rest) = style.split_once(&format!("--{bar}: ")).unwrap();
            let colour = rest.split(';').next().unwrap();
            assert!(drawing.contains(&format!(".{bar}{{fill:{colour}}}")), "{bar}: {colour}");
        }
    }
}
