//! Plots as SVG: lines over logarithmic axes.

use std::fmt::Write;

/// A line: its name and its points.
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
/// Room for the words: left, right, top, bottom.
const MARGIN: (f64, f64, f64, f64) = (90.0, 120.0, 40.0, 50.0);
const COLOURS: [&str; 4] = ["#1f77b4", "#d62728", "#7f7f7f", "#2ca02c"];

/// An axis: what it shows, and how its values are written.
pub(super) struct Axis {
    pub(super) name: &'static str,
    pub(super) label: fn(f64) -> String,
}

/// Where values lie between two powers of ten.
struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64>) -> Scale {
        let (low, high) = values.fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), v| (low.min(v), high.max(v)));
        let (from, to) = (low.max(f64::MIN_POSITIVE).log10().floor(), high.log10().ceil());
        Scale { from, to: to.max(from + 1.0) }
    }

    /// From 0 to 1.
    fn place(&self, value: f64) -> f64 {
        (value.max(f64::MIN_POSITIVE).log10() - self.from) / (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = f64> + use<> {
        (self.from as i32..=self.to as i32).map(|power| 10_f64.powi(power))
    }
}

/// The whole file.
pub(super) fn plot(title: &str, x: &Axis, y: &Axis, series: &[Series]) -> String {
    let points = || series.iter().flat_map(|line| line.points.iter());
    let (xs, ys) = (Scale::of(points().map(|point| point.0)), Scale::of(points().map(|point| point.1)));
    let (left, right, top, bottom) = MARGIN;
    let across = |value: f64| left + xs.place(value) * (WIDTH - left - right);
    let up = |value: f64| HEIGHT - bottom - ys.place(value) * (HEIGHT - top - bottom);
    let mut svg = String::new();
    let mut line = |text: String| {
        // Writing to a string does not fail.
        let _ = writeln!(svg, "{text}");
    };
    line(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">"#
    ));
    line(format!(r#"<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>"#));
    line(format!(r#"<text x="{left}" y="22" font-size="14">{title}</text>"#));
    for value in ys.powers() {
        let (at, end) = (up(value), WIDTH - right);
        line(format!(r##"<line x1="{left}" y1="{at:.1}" x2="{end}" y2="{at:.1}" stroke="#ddd"/>"##));
        let (x, at) = (left - 6.0, at + 4.0);
        line(format!(r#"<text x="{x}" y="{at:.1}" text-anchor="end">{}</text>"#, (y.label)(value)));
    }
    for value in xs.powers() {
        let (at, end) = (across(value), HEIGHT - bottom);
        line(format!(r##"<line x1="{at:.1}" y1="{top}" x2="{at:.1}" y2="{end}" stroke="#ddd"/>"##));
        let y = end + 16.0;
        line(format!(r#"<text x="{at:.1}" y="{y}" text-anchor="middle">{}</text>"#, (x.label)(value)));
    }
    line(format!(r#"<text x="{left}" y="{}">{}</text>"#, HEIGHT - 12.0, x.name));
    line(format!(r#"<text x="6" y="{}">{}</text>"#, top - 4.0, y.name));
    for (one, colour) in series.iter().zip(COLOURS.iter().cycle()) {
        let path: Vec<_> = one.points.iter().map(|(x, y)| format!("{:.1},{:.1}", across(*x), up(*y))).collect();
        line(format!(r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#, path.join(" ")));
        for (x, y) in &one.points {
            line(format!(r#"<circle cx="{:.1}" cy="{:.1}" r="3" fill="{colour}"/>"#, across(*x), up(*y)));
        }
        if let Some((_, last)) = one.points.last() {
            let (x, y) = (WIDTH - right + 8.0, up(*last) + 4.0);
            line(format!(r#"<text x="{x}" y="{y:.1}" fill="{colour}">{}</text>"#, one.name));
        }
    }
    line("</svg>".to_owned());
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_between_the_powers_around_them() {
        let scale = Scale::of([20.0, 3000.0].into_iter());
        assert_eq!((scale.from, scale.to), (1.0, 4.0));
        assert!((scale.place(1000.0) - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!(scale.powers().collect::<Vec<_>>(), [10.0, 100.0, 1000.0, 10000.0]);
        let axis = Axis { name: "size", label: |value| value.to_string() };
        let svg = plot("title", &axis, &axis, &[Series { name: "one", points: vec![(20.0, 3.0), (3000.0, 5.0)] }]);
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    }
}
