//! Results and what is made of them: the table on the terminal (Markdown, so that it can be quoted
//! as it stands), JSON, and a chart.

mod chart;
mod machine;
mod results;
mod table;

pub use results::Results;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::args::Args;

/// Prints the table and writes the files.
///
/// # Errors
/// Where the folder cannot be written.
pub fn write(results: &Results, args: &Args) -> Result<()> {
    println!("{}", table::markdown(results));
    let json = save(results, args)?;
    let folder = &args.out;
    let svg = folder.join(format!("{}.svg", args.name));
    if chart::draw(results, &svg)? {
        println!("written: {}, {}", json.display(), svg.display());
    } else {
        println!("written: {} (nothing for a chart)", json.display());
    }
    Ok(())
}

/// Writes the JSON alone; where to.
///
/// # Errors
/// Where the folder cannot be written.
pub fn save(results: &Results, args: &Args) -> Result<PathBuf> {
    let folder = &args.out;
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let json = folder.join(format!("{}.json", args.name));
    let text = serde_json::to_string_pretty(results)? + "\n";
    std::fs::write(&json, text).with_context(|| format!("writing {}", json.display()))?;
    Ok(json)
}
