//! A picture of a screen: a window with its text, in SVG.
//!
//! Knows cells and colours. Every run of text is as wide as its columns, whatever font there is; all of it is in the
//! description too, for those who hear it.

use std::fmt::Write;

use vt100::{Cell, Color, Screen};

use super::terminal;

/// Columns, rows, the window's bar and edge, in tenths of a pixel.
const COLUMN: u32 = 84;
const ROW: u32 = 190;
const BAR: u32 = 360;
const EDGE: u32 = 180;
/// From a row's upper edge to the line that the letters stand on.
const BASE: u32 = 137;

/// The sixteen colours, in the order of ECMA-48; all at least 4.5 to 1 on the ground, but for the first, which is it.
const COLOURS: [&str; 16] = [
    "#161b22", "#ff7b72", "#7ee787", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#c9d1d9", "#8b949e", "#ffa198",
    "#a5f0ad", "#f2cc60", "#a5d6ff", "#e2c5ff", "#7fe3ea", "#f0f6fc",
];
const GROUND: &str = "#161b22";
const TEXT: &str = "#e6edf3";
const FONT: &str = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace";

/// How a run of text looks.
#[derive(Clone, PartialEq, Eq)]
struct Look {
    colour: String,
    ground: Option<String>,
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
}

impl Look {
    /// Whether it is to be seen in a space.
    fn filled(&self) -> bool {
        self.ground.is_some() || self.underline
    }
}

/// Cells side by side that look the same.
struct Run {
    look: Look,
    column: u32,
    columns: u32,
    text: String,
}

/// The picture; rows after the last one with anything in it are left out.
pub(crate) fn draw(screen: &Screen, window: &str, title: &str) -> String {
    let (rows, columns) = (screen.size().0.get(), screen.size().1.get());
    let (cursor_row, cursor_column) = screen.cursor_position();
    let text = |row| terminal::text(screen, row, columns).trim_end().to_owned();
    let last = (0..rows).rev().find(|&row| !text(row).is_empty()).map_or(cursor_row, |row| row.max(cursor_row));
    let (width, height) = (2 * EDGE + u32::from(columns) * COLUMN, BAR + EDGE + (u32::from(last) + 1) * ROW);
    let mut out = String::new();
    head(&mut out, width, height, window, title, &(0..=last).map(text).collect::<Vec<_>>());
    for row in 0..=last {
        // One line for each row, so that a difference between two pictures says where it is.
        let _ = write!(out, "<g>");
        runs(screen, row).iter().for_each(|run| write_run(&mut out, run, row));
        let _ = writeln!(out, "</g>");
    }
    if !screen.hide_cursor() {
        let (x, y) = (pixels(EDGE + u32::from(cursor_column) * COLUMN), pixels(BAR + u32::from(cursor_row) * ROW));
        let size = format!("width=\"{}\" height=\"{}\"", pixels(COLUMN), pixels(ROW - 10));
        let _ = writeln!(out, "<rect x=\"{x}\" y=\"{y}\" {size} fill=\"{TEXT}\" opacity=\"0.75\"/>");
    }
    out.push_str("</svg>\n");
    out
}

/// Everything around the text. Writing to a string cannot fail.
fn head(out: &mut String, width: u32, height: u32, window: &str, title: &str, rows: &[String]) {
    let (w, h) = (pixels(width), pixels(height));
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
         role=\"img\" aria-labelledby=\"title text\">"
    );
    let _ = writeln!(out, "<title id=\"title\">{}</title>", escaped(title));
    let _ = writeln!(out, "<desc id=\"text\">{}</desc>", escaped(&rows.join("\n")));
    let _ = writeln!(out, "<style>text{{font:14px {FONT};white-space:pre;fill:{TEXT}}}</style>");
    let (w, h) = (pixels(width - 10), pixels(height - 10));
    let edge = format!("rx=\"9\" fill=\"{GROUND}\" stroke=\"#484f58\"");
    let _ = writeln!(out, "<rect x=\"0.5\" y=\"0.5\" width=\"{w}\" height=\"{h}\" {edge}/>");
    for (x, colour) in [(20, "#ff7b72"), (38, "#e3b341"), (56, "#7ee787")] {
        let _ = write!(out, "<circle cx=\"{x}\" cy=\"17\" r=\"5.5\" fill=\"{colour}\" opacity=\"0.8\"/>");
    }
    let middle = pixels(width / 2);
    let place = format!("x=\"{middle}\" y=\"21.5\" text-anchor=\"middle\"");
    let _ = writeln!(out, "<text {place} style=\"fill:#8b949e;font-size:12.5px\">{}</text>", escaped(window));
}

fn write_run(out: &mut String, run: &Run, row: u16) {
    let top = BAR + u32::from(row) * ROW;
    let (x, width) = (pixels(EDGE + run.column * COLUMN), pixels(run.columns * COLUMN));
    if let Some(ground) = &run.look.ground {
        let (y, height) = (pixels(top), pixels(ROW));
        let _ = write!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{ground}\"/>");
    }
    if run.text.trim().is_empty() {
        return;
    }
    let look = &run.look;
    let mut style = String::new();
    let attributes = [
        (look.bold, "font-weight:bold"),
        (look.italic, "font-style:italic"),
        (look.underline, "text-decoration:underline"),
    ];
    let colour = (look.colour != TEXT).then(|| format!("fill:{}", look.colour));
    let all = colour.iter().map(String::as_str).chain(attributes.iter().filter(|(on, _)| *on).map(|(_, css)| *css));
    let all: Vec<&str> = all.collect();
    if !all.is_empty() {
        let _ = write!(style, " style=\"{}\"", all.join(";"));
    }
    if look.dim {
        style.push_str(" opacity=\"0.65\"");
    }
    let y = pixels(top + BASE);
    let fit = format!("textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\"");
    let _ = write!(out, "<text x=\"{x}\" y=\"{y}\" {fit}{style}>{}</text>", escaped(&run.text));
}

/// A row's runs, without the spaces at its end and between runs, where they show nothing.
fn runs(screen: &Screen, row: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for column in 0..screen.size().1.get() {
        let Some(cell) = screen.cell(row, column) else { continue };
        if cell.is_wide_continuation() {
            continue;
        }
        let (look, columns) = (look(cell), if cell.is_wide() { 2 } else { 1 });
        let text = if cell.has_contents() { cell.contents() } else { " " };
        // Viewers that make one space of several would stretch what is left: a wide gap parts a run in two.
        let gap = |run: &Run| run.text.ends_with("  ") && text != " " && !run.look.filled();
        match runs.last_mut().filter(|run| run.look == look && !gap(run)) {
            Some(run) => {
                run.text.push_str(text);
                run.columns += columns;
            }
            None => runs.push(Run { look, column: u32::from(column), columns, text: text.to_owned() }),
        }
    }
    runs.iter_mut().filter(|run| !run.look.filled()).for_each(trim);
    runs.retain(|run| run.columns > 0);
    runs
}

fn trim(run: &mut Run) {
    // A space is one column.
    let (before, after) = (run.text.trim_end().len(), run.text.trim_start_matches(' ').len());
    let (end, start) = ((run.text.len() - before) as u32, (run.text.len() - after) as u32);
    if before == 0 {
        run.columns = 0;
        return;
    }
    run.text = run.text.trim_matches(' ').to_owned();
    run.column += start;
    run.columns -= start + end;
}

fn look(cell: &Cell) -> Look {
    let (mut colour, mut ground) = (colour(cell.fgcolor()), colour(cell.bgcolor()));
    if cell.inverse() {
        (colour, ground) = (ground.or(Some(GROUND.into())), colour.or(Some(TEXT.into())));
    }
    Look {
        colour: colour.unwrap_or_else(|| TEXT.into()),
        ground,
        bold: cell.bold(),
        dim: cell.dim(),
        italic: cell.italic(),
        underline: cell.underline(),
    }
}

/// A colour of the terminal's; none where it is the usual.
fn colour(colour: Color) -> Option<String> {
    match colour {
        Color::Default => None,
        Color::Rgb(r, g, b) => Some(format!("#{r:02x}{g:02x}{b:02x}")),
        Color::Idx(index @ 0..=15) => Some(COLOURS[usize::from(index)].to_owned()),
        // The cube and the greys that terminals of 256 colours have.
        Color::Idx(index @ 16..=231) => {
            let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
            let cube = index - 16;
            Some(format!("#{:02x}{:02x}{:02x}", level(cube / 36), level(cube / 6 % 6), level(cube % 6)))
        }
        Color::Idx(index) => {
            let grey = 8 + 10 * (index - 232);
            Some(format!("#{grey:02x}{grey:02x}{grey:02x}"))
        }
    }
}

fn pixels(tenths: u32) -> String {
    match (tenths / 10, tenths % 10) {
        (whole, 0) => whole.to_string(),
        (whole, tenth) => format!("{whole}.{tenth}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The first line in which two pictures differ, in words; none if they are the same.
pub(crate) fn difference(theirs: &str, ours: &str) -> Option<String> {
    if theirs == ours {
        return None;
    }
    let (mut a, mut b) = (theirs.lines(), ours.lines());
    for number in 1.. {
        match (a.next(), b.next()) {
            (None, None) => break,
            (one, other) if one != other => {
                let line = |line: Option<&str>| line.map_or("nothing".into(), words);
                return Some(format!("line {number}: the file has {}, the program shows {}", line(one), line(other)));
            }
            _ => {}
        }
    }
    Some("line ends differ".into())
}

/// A row's text where there is one, or the line as it is.
fn words(line: &str) -> String {
    let Some(row) = line.strip_prefix("<g>") else { return super::cast::short(line) };
    let texts: Vec<&str> =
        row.split("<text").skip(1).filter_map(|text| text.split_once('>')?.1.split("</text>").next()).collect();
    super::cast::short(&texts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU16;
    use vt100::Parser;

    fn picture(text: &str) -> String {
        let size = |size| NonZeroU16::new(size).unwrap();
        let mut parser = Parser::new(size(5), size(20), 0);
        parser.process(text.as_bytes());
        draw(parser.screen(), "window", "A < B")
    }

    #[test]
    fn a_screen_becomes_text_of_its_columns() {
        let svg = picture("  a<b  \x1b[1;31mred\x1b[m 日\r\n\x1b[7m x \x1b[m\x1b[?25l");
        assert!(svg.contains("<title id=\"title\">A &lt; B</title>"));
        assert!(svg.contains("<desc id=\"text\">  a&lt;b  red 日\n x</desc>"), "{svg}");
        let row = svg.lines().find(|line| line.starts_with("<g>")).unwrap();
        assert!(row.contains("<text x=\"34.8\" y=\"49.7\" textLength=\"25.2\""), "{row}");
        assert!(row.contains("style=\"fill:#ff7b72;font-weight:bold\">red</text>"), "{row}");
        assert!(row.contains("textLength=\"16.8\" lengthAdjust=\"spacingAndGlyphs\">日</text>"), "{row}");
        let inverse = svg.lines().filter(|line| line.starts_with("<g>")).nth(1).unwrap();
        assert!(inverse.contains("width=\"25.2\" height=\"19\" fill=\"#e6edf3\"/>"), "{inverse}");
        assert_eq!(svg.matches("<g>").count(), 2, "empty rows at the end are left out");
        assert!(!svg.contains("opacity=\"0.75\"") && picture("a").contains("opacity=\"0.75\""), "the cursor");
    }

    #[test]
    fn a_wide_gap_parts_a_run() {
        let svg = picture("a b  c   d");
        let row = svg.lines().find(|line| line.starts_with("<g>")).unwrap();
        for text in [
            ">a b</text>",
            "x=\"60\" y=\"49.7\" textLength=\"8.4\" lengthAdjust=\"spacingAndGlyphs\">c</text>",
            ">d</text>",
        ] {
            assert!(row.contains(text), "{row}");
        }
        assert_eq!(row.matches("<text").count(), 3);
    }

    #[test]
    fn colours_of_every_kind() {
        assert_eq!(colour(Color::Idx(4)).as_deref(), Some("#79c0ff"));
        assert_eq!(colour(Color::Idx(16)).as_deref(), Some("#000000"));
        assert_eq!(colour(Color::Idx(208)).as_deref(), Some("#ff8700"));
        assert_eq!(colour(Color::Idx(255)).as_deref(), Some("#eeeeee"));
        assert_eq!(colour(Color::Default), None);
    }

    #[test]
    fn the_row_that_differs_is_named() {
        let ours = picture("one\r\ntwo");
        assert_eq!(difference(&ours, &ours), None);
        // The description is above the rows and holds the same words.
        assert!(difference(&picture("one\r\ntwa"), &ours).unwrap().contains("the file has `twa</desc>`"));
        let other = ours.replace(">two</text>", ">twa</text>");
        let found = difference(&other, &ours).unwrap();
        assert!(found.ends_with(": the file has `twa`, the program shows `two`"), "{found}");
        assert!(difference(&ours.replace("#e6edf3", "#ffffff"), &ours).is_some());
        assert!(difference("", &ours).unwrap().starts_with("line 1: the file has nothing"));
    }
}
