//! Pictures in SVG.

const STYLE: &str = "\
text { font: 12px sans-serif; fill: #24292f }
.title { font-weight: bold; font-size: 13px }
.note, .tick { fill: #6e7781 }
.tick { font-size: 10px; text-anchor: middle }
.label { text-anchor: end }
.grid { stroke: #d8dee4 }";

/// A picture of that size, on white. `style` says how the classes look that are its own.
pub fn picture(width: f64, height: f64, style: &str, shapes: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\">\n<style>{STYLE}\n{style}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{shapes}</svg>\n"
    )
}
