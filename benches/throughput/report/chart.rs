//! The chart: for each headline row one bar a forwarder, its ratio to the Linux bridge, turned so
//! that longer is better (1 / ratio where lower values are better). A bar beyond the edge is cut.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::results::Results;
use crate::rows::{Better, ROWS};

const COLOURS: [RGBColor; 6] = [
    RGBColor(120, 120, 120),
    RGBColor(214, 90, 49),
    RGBColor(170, 170, 170),
    RGBColor(57, 106, 177),
    RGBColor(62, 150, 81),
    RGBColor(148, 139, 61),
];
const WIDTH: i32 = 960;
const LEFT: i32 = 250;
const RIGHT: i32 = 70;
const TOP: i32 = 70;
const BAR: i32 = 11;
const GAP: i32 = 10;
/// The ratio at the right edge.
const EDGE: f64 = 2.0;

/// Draws; false where no row has a ratio.
///
/// # Errors
/// Where the file cannot be written.
pub fn draw(results: &Results, path: &Path) -> Result<bool> {
    let names: Vec<&str> =
        results.forwarders.iter().filter(|f| f.absent.is_none()).map(|f| f.name.as_str()).collect();
    let groups = groups(results, &names);
    if groups.is_empty() {
        return Ok(false);
    }
    let bars: usize = groups.iter().map(|(_, bars)| bars.len()).sum();
    let height = TOP + bars as i32 * BAR + groups.len() as i32 * GAP + 40;
    let area = SVGBackend::new(path, (WIDTH as u32, height as u32)).into_drawing_area();
    paint(&area, &groups, &names, height, results)
        .map_err(|e| anyhow!("drawing the chart: {e}"))?;
    Ok(true)
}

type Group = (&'static str, Vec<(usize, f64)>);

/// The headline rows, with (forwarder, goodness relative to the first) each.
fn groups(results: &Results, names: &[&str]) -> Vec<Group> {
    let Some(yardstick) = names.first() else { return vec![] };
    let mut groups = Vec::new();
    for row in ROWS.iter().filter(|row| row.headline) {
        let Some(base) = results.median(row.name, yardstick).filter(|base| *base > 0.0) else {
            continue;
        };
        let bars: Vec<(usize, f64)> = names
            .iter()
            .enumerate()
            .skip(1)
            .filter_map(|(index, name)| {
                let ratio = results.median(row.name, name)? / base;
                Some((index, if row.better == Better::Lower { 1.0 / ratio } else { ratio }))
            })
            .collect();
        if !bars.is_empty() {
            groups.push((row.title, bars));
        }
    }
    groups
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn paint(
    area: &Canvas<'_>,
    groups: &[Group],
    names: &[&str],
    height: i32,
    results: &Results,
) -> Drawn {
    area.fill(&WHITE)?;
    let plain = |size: i32| ("sans-serif", size).into_font().color(&BLACK);
    let machine = &results.machine;
    let title = format!("Relative to {}: longer is better", names[0]);
    area.draw(&Text::new(title, (12, 10), plain(16)))?;
    let under = format!(
        "{} x {}, Linux {}, {}, commit {}",
        machine.cores, machine.cpu, machine.kernel, machine.date, machine.commit
    );
    area.draw(&Text::new(under, (12, 30), plain(11)))?;
    legend(area, names)?;
    let bottom = height - 30;
    for tenth in (0..=20).step_by(5) {
        let at = x(f64::from(tenth) / 10.0);
        let tone = if tenth == 10 { BLACK.mix(0.9) } else { BLACK.mix(0.15) };
        area.draw(&PathElement::new(vec![(at, TOP - 4), (at, bottom)], tone))?;
        let middle = plain(11).pos(Pos::new(HPos::Center, VPos::Top));
        let label = format!("{:.1}", f64::from(tenth) / 10.0);
        area.draw(&Text::new(label, (at, bottom + 6), middle))?;
    }
    let mut y = TOP;
    for (title, bars) in groups {
        let middle = y + bars.len() as i32 * BAR / 2;
        let style = plain(12).pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(*title, (LEFT - 10, middle), style))?;
        for (index, ratio) in bars {
            let end = x(ratio.min(EDGE));
            let colour = COLOURS[index % COLOURS.len()];
            area.draw(&Rectangle::new([(LEFT, y), (end, y + BAR - 2)], colour.filled()))?;
            let style = plain(10).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(format!("{ratio:.2}"), (end + 4, y + BAR / 2 - 1), style))?;
            y += BAR;
        }
        y += GAP;
    }
    area.present()
}

fn legend(area: &Canvas<'_>, names: &[&str]) -> Drawn {
    let mut at = LEFT;
    for (index, name) in names.iter().enumerate().skip(1) {
        let colour = COLOURS[index % COLOURS.len()];
        area.draw(&Rectangle::new([(at, 49), (at + 10, 59)], colour.filled()))?;
        let style = ("sans-serif", 12).into_font().color(&BLACK);
        area.draw(&Text::new((*name).to_owned(), (at + 15, 48), style))?;
        at += 125;
    }
    Ok(())
}

/// Where a ratio stands, in pixels.
fn x(ratio: f64) -> i32 {
    LEFT + (f64::from(WIDTH - LEFT - RIGHT) * ratio / EDGE) as i32
}
