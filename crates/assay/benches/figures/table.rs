//! The figures as a table that `docs/benchmarks.md` can hold as it is printed.

/// One line of the table.
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) measured: String,
    /// What it is measured against, in the same run; or what else there is to say of it.
    pub(crate) yardstick: String,
    pub(crate) ratio: String,
    pub(crate) goal: String,
    /// Nothing where there is no goal.
    pub(crate) met: Option<bool>,
}

impl Figure {
    /// A figure without yardstick, ratio or goal.
    pub(crate) fn new(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            measured: measured.into(),
            yardstick: "-".to_owned(),
            ratio: "-".to_owned(),
            goal: "-".to_owned(),
            met: None,
        }
    }

    /// The same beside a yardstick.
    pub(crate) fn beside(self, yardstick: impl Into<String>) -> Self {
        Self { yardstick: yardstick.into(), ..self }
    }

    /// The same with a ratio to the yardstick.
    pub(crate) fn ratio(self, ratio: f64) -> Self {
        Self { ratio: format!("{ratio:.2}"), ..self }
    }

    /// The same with a goal.
    pub(crate) fn goal(self, goal: impl Into<String>, met: bool) -> Self {
        Self { goal: goal.into(), met: Some(met), ..self }
    }

    /// The line.
    pub(crate) fn print(&self) {
        let met = match self.met {
            None => "-",
            Some(true) => "yes",
            Some(false) => "**no**",
        };
        let Self { what, measured, yardstick, ratio, goal, .. } = self;
        println!("| {what} | {measured} | {yardstick} | {ratio} | {goal} | {met} |");
    }
}

/// Prints the head of the table.
pub(crate) fn print_head() {
    println!("\n| figure | measured | yardstick | ratio | goal | met |");
    println!("|---|---|---|---|---|---|");
}
