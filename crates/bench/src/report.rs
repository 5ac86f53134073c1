//! What a bench found: a table for people, one JSON object a line for programs.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde::Serialize;

/// One figure of one contender in one case, over all runs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    bench: &'static str,
    case: String,
    contender: &'static str,
    metric: &'static str,
    unit: &'static str,
    median: f64,
    min: f64,
    max: f64,
    runs: usize,
}

/// Says on standard error why there are no figures. Nobody may be listening.
pub(crate) fn complain(error: &anyhow::Error) {
    writeln!(std::io::stderr().lock(), "postern-bench: {error:#}").ok();
}

/// Collects samples and prints what they come to.
#[derive(Debug)]
pub(crate) struct Report {
    bench: &'static str,
    samples: BTreeMap<(String, &'static str, &'static str, &'static str), Vec<f64>>,
}

impl Report {
    pub(crate) const fn new(bench: &'static str) -> Self {
        Self {
            bench,
            samples: BTreeMap::new(),
        }
    }

    /// Adds the figure of one run.
    pub(crate) fn add(
        &mut self,
        case: &str,
        contender: &'static str,
        (metric, unit): (&'static str, &'static str),
        value: f64,
    ) {
        self.samples
            .entry((case.into(), contender, metric, unit))
            .or_default()
            .push(value);
    }

    fn rows(&self) -> Vec<Row> {
        let row = |(key, samples): (&(String, &'static str, &'static str, &'static str), &Vec<f64>)| {
            let mut sorted = samples.clone();
            sorted.sort_by(f64::total_cmp);
            let (case, contender, metric, unit) = key.clone();
            let at = |i: usize| sorted.get(i).copied().unwrap_or(f64::NAN);
            let (median, min, max) = (at(sorted.len() / 2), at(0), at(sorted.len().saturating_sub(1)));
            Row {
                bench: self.bench,
                case,
                contender,
                metric,
                unit,
                median,
                min,
                max,
                runs: sorted.len(),
            }
        };
        self.samples.iter().map(row).collect()
    }

    /// Prints everything.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn print(&self, json: bool) -> anyhow::Result<()> {
        let rows = self.rows();
        let mut out = std::io::stdout().lock();
        if json {
            for row in &rows {
                writeln!(out, "{}", serde_json::to_string(row)?)?;
            }
            return Ok(());
        }
        let heads = [
            "case",
            "contender",
            "metric",
            "median",
            "min",
            "max",
            "unit",
            "runs",
        ];
        let mut table = vec![heads.map(String::from)];
        table.extend(rows.iter().map(|row| {
            let number = |value: f64| format!("{value:.3}");
            let (median, min, max) = (number(row.median), number(row.min), number(row.max));
            let (contender, metric, unit) = (row.contender.into(), row.metric.into(), row.unit.into());
            [
                row.case.clone(),
                contender,
                metric,
                median,
                min,
                max,
                unit,
                row.runs.to_string(),
            ]
        }));
        let mut widths = [0; 8];
        for line in &table {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cell.len().max(*width);
            }
        }
        for line in &table {
            let cells = line
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}
