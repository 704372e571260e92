//! Warm admissions, verdicts cached: how many a second, and how long each takes, beside a bare server
//! that answers a constant.

use std::time::Duration;

use anyhow::{Result, ensure};
use assay_testkit::RegistryOptions;

use crate::load::{self, Target};
use crate::numbers::{median, micros, millis, quantile, ratio};
use crate::table::Figure;
use crate::world::{Form, Process, World, policy, review};

/// Policies in force, of which two match.
pub(crate) const POLICIES: usize = 100;

/// Rounds of load on one server and then on the other.
const ROUNDS: usize = 9;

/// How long a round of full load is.
const ROUND: Duration = Duration::from_secs(2);

/// Requests a second where times are measured.
const PER_SECOND: u32 = 500;

/// How long a round at [`PER_SECOND`] is.
const STEADY_ROUND: Duration = Duration::from_secs(6);

const RATE_GOAL: f64 = 0.75;
const P99_GOAL: Duration = Duration::from_millis(1);

/// The world of the warm figures, and the review that is posted.
struct Warm {
    world: World,
    request: Vec<u8>,
    bytes: usize,
}

/// The server under test, and the yardstick.
struct Pair {
    processes: [Process; 2],
    targets: [Target; 2],
}

pub(crate) fn figures() -> Result<Vec<Figure>> {
    let warm = Warm::new()?;
    let mut figures = warm.rate()?;
    figures.extend(warm.times()?);
    Ok(figures)
}

impl Warm {
    fn new() -> Result<Self> {
        let world = World::new(RegistryOptions::default())?;
        write_policies(&world)?;
        let web = world.signed_image("shop/web", "v1.2.3", Form::Bundle, &world.keys)?;
        let proxy = world.signed_image("shop/proxy", "v4.5.6", Form::Tag, &world.keys)?;
        let review = review([&web, &proxy]);
        Ok(Self { world, request: load::request(&review), bytes: review.len() })
    }

    /// Both servers, with the verdicts cached. The constant is the webhook's own answer.
    fn start(&self, workers: Option<usize>) -> Result<Pair> {
        let webhook = self.world.serve("", workers)?;
        let target = self.world.target(&webhook)?;
        let mut connection = target.connect()?;
        connection.admit(&self.request)?;
        let answer = connection.exchange(&self.request)?.body.to_vec();
        let text = String::from_utf8_lossy(&answer);
        ensure!(text.contains("release-0") && text.contains("release-1"), "two policies: {text}");
        let constant = self.world.serve_constant(&answer, workers)?;
        let targets = [target, self.world.target(&constant)?];
        Ok(Pair { processes: [webhook, constant], targets })
    }

    /// Full load on a server with one thread, so that it is the server that is the bottleneck and
    /// not the generator, which has the other processors.
    fn rate(&self) -> Result<Vec<Figure>> {
        let pair = self.start(Some(1))?;
        let (mut rates, mut costs) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
        let (mut rate_ratios, mut cost_ratios) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            for (index, target) in pair.targets.iter().enumerate() {
                let before = pair.processes[index].cpu_time()?;
                let rate = load::closed_loop(target, &self.request, ROUND)?;
                let cpu = pair.processes[index].cpu_time()? - before;
                rates[index].push(rate);
                costs[index].push(cpu.as_secs_f64() / (rate * ROUND.as_secs_f64()));
            }
            rate_ratios.push(rates[0][rates[0].len() - 1] / rates[1][rates[1].len() - 1]);
            cost_ratios.push(costs[1][costs[1].len() - 1] / costs[0][costs[0].len() - 1]);
        }
        let [rate, constant_rate] = rates.map(|mut rates| median(&mut rates));
        let [cost, constant_cost] = costs.map(|mut costs| median(&mut costs));
        let busy = |rate: f64, cost: f64| format!("{:.0} %", 100.0 * rate * cost);
        let what = format!("warm admissions, {:.1} KB, {POLICIES} policies", self.kilobytes());
        let rate_ratio = median(&mut rate_ratios);
        let cost_text = |cost: f64| micros(Duration::from_secs_f64(cost));
        Ok(vec![
            Figure::new(what, format!("{rate:.0}/s, {} of a processor", busy(rate, cost)))
                .beside(format!(
                    "constant server: {constant_rate:.0}/s, {}",
                    busy(constant_rate, constant_cost)
                ))
                .ratio(rate_ratio)
                .goal(format!("at least {RATE_GOAL}"), rate_ratio >= RATE_GOAL),
            Figure::new("the same, by the server's processor time per request", cost_text(cost))
                .beside(format!("constant server: {}", cost_text(constant_cost)))
                .ratio(median(&mut cost_ratios)),
        ])
    }

    /// A steady load on servers with all their threads.
    fn times(&self) -> Result<Vec<Figure>> {
        let pair = self.start(None)?;
        let mut times = [const { Vec::new() }; 2];
        for _ in 0..2 {
            for (index, target) in pair.targets.iter().enumerate() {
                let more = load::open_loop(target, &self.request, PER_SECOND, STEADY_ROUND)?;
                times[index].extend(more);
            }
        }
        let [p50, constant_p50] = times.each_mut().map(|times| median(times));
        let [p99, constant_p99] = times.each_mut().map(|times| quantile(times, 0.99));
        let figure = |what: &str, own: Duration, constant: Duration| {
            Figure::new(format!("warm {what} at {PER_SECOND}/s"), millis(own))
                .beside(format!("constant server: {}", millis(constant)))
                .ratio(ratio(own, constant))
        };
        Ok(vec![
            figure("p50", p50, constant_p50),
            figure("p99", p99, constant_p99)
                .goal(format!("at most {}", millis(P99_GOAL)), p99 <= P99_GOAL),
        ])
    }

    fn kilobytes(&self) -> f64 {
        self.bytes as f64 / 1000.0
    }
}

/// [`POLICIES`] policies, as a cluster may have them; the two that match ask for different keys.
pub(crate) fn write_policies(world: &World) -> Result<()> {
    let host = world.registry.host();
    for index in 0..POLICIES {
        let team = format!("team-{index}");
        let (name, namespace, matching) = match index {
            0 => ("release-0".to_owned(), None, "{namespaces: [shop]}".to_owned()),
            1 => {
                let matching = "{kinds: [{apiGroups: [\"\"], kinds: [Pod]}], \
                                excludedNamespaces: [\"kube-*\"], namespaces: [\"sho*\"]}";
                ("release-1".to_owned(), None, matching.to_owned())
            }
            _ => {
                let namespace = (index % 7 == 0).then_some(team.as_str());
                (format!("policy-{index}"), namespace, other_match(index, &team))
            }
        };
        let matching = format!("  match: {matching}\n");
        let text = policy(&name, namespace, &matching, index % 2, &host);
        world.folder.write(&format!("policies/{name}.yaml"), text)?;
    }
    Ok(())
}

/// A match of some other team's pods.
fn other_match(index: usize, team: &str) -> String {
    match index % 7 {
        0 => "{}".to_owned(),
        1 => format!("{{namespaces: [{team}, {team}-staging]}}"),
        2 => format!("{{namespaces: [\"{team}-*\"]}}"),
        3 => "{kinds: [{apiGroups: [apps], kinds: [Deployment, StatefulSet]}]}".to_owned(),
        4 => format!("{{labelSelector: {{matchLabels: {{team: {team}}}}}}}"),
        5 => "{excludedNamespaces: [\"shop*\", \"kube-*\"]}".to_owned(),
        _ => "{scope: Cluster}".to_owned(),
    }
}
