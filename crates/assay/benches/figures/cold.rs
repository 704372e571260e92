//! Cold verifications: round trips, requests, the burst, and whole processes beside `cosign verify`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use assay_testkit::RegistryOptions;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::load::{self, Target};
use crate::numbers::{median, millis, ratio};
use crate::table::Figure;
use crate::world::{ASSAY, Form, World, review, time_process};

/// What every registry request takes longer.
const DELAY: Duration = Duration::from_millis(20);

/// Cold verifications of one form, of which the median counts.
const TRIES: usize = 7;

/// Pods of the burst.
const PODS: usize = 1_000;

/// HTTP/2 connections of the burst: a server takes 250 requests at once on each.
const BURST_CONNECTIONS: usize = 4;

const COSIGN_GOAL: f64 = 0.5;

/// A form of signature, what a registry knows of referrers, and how many round trips are the goal.
type Shape = (&'static str, Form, bool, Option<usize>);

const SHAPES: [Shape; 4] = [
    ("a .sig tag", Form::Tag, true, Some(3)),
    ("a referrer", Form::Bundle, true, Some(4)),
    ("a referrer, registry without the API", Form::Bundle, false, None),
    ("a Notation signature", Form::Notation, true, Some(4)),
];

pub(crate) fn figures() -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for shape in SHAPES {
        figures.push(round_trips(shape)?);
    }
    figures.push(burst()?);
    figures.extend(beside_cosign()?);
    Ok(figures)
}

fn world(form: Form, referrers_api: bool) -> Result<World> {
    let world = World::new(RegistryOptions { referrers_api, ..RegistryOptions::default() })?;
    match form {
        Form::Notation => world.write_vendor_policy()?,
        Form::Bundle | Form::Tag => world.write_release_policy()?,
    }
    Ok(world)
}

fn request(image: &str) -> Vec<u8> {
    load::request(&review([image, image]))
}

/// How often [`DELAY`] a cold admission takes, and how many requests.
fn round_trips((what, form, referrers_api, goal): Shape) -> Result<Figure> {
    let world = world(form, referrers_api)?;
    let webhook = world.serve("", None)?;
    let mut connection = world.target(&webhook)?.connect()?;
    // So that connections are open, as they are in a process that serves.
    connection.admit(&request(&world.image("app", "v0", form)?))?;
    world.delay(DELAY);
    let (mut times, mut requests) = (Vec::new(), Vec::new());
    for number in 0..TRIES {
        let image = world.image("app", &format!("cold-{number}"), form)?;
        world.registry.clear_requests();
        times.push(connection.admit(&request(&image))?);
        requests.push(world.registry.requests().len());
    }
    let (time, requests) = (median(&mut times), median(&mut requests));
    let trips = (time.as_secs_f64() / DELAY.as_secs_f64()).floor();
    let figure = Figure::new(
        format!("cold admission, round trips, {what}"),
        format!("{trips} ({} with {} each)", millis(time), millis(DELAY)),
    )
    .beside(format!("{requests} requests in all"));
    Ok(match goal {
        Some(goal) => figure.goal(goal.to_string(), trips <= goal as f64),
        None => figure,
    })
}

/// Registry requests of many pods with one new image, at once, and of one pod with another.
fn burst() -> Result<Figure> {
    let world = world(Form::Bundle, true)?;
    let webhook = world.serve("", None)?;
    let target = world.target(&webhook)?;
    world.delay(DELAY);
    target.connect()?.admit(&request(&world.image("one", "v1", Form::Bundle)?))?;
    let one = world.registry.requests().len();
    let body = Bytes::from(review([world.image("many", "v1", Form::Bundle)?.as_str(); 2]));
    world.registry.clear_requests();
    let admitted = world.runtime.block_on(post_at_once(&target, &body))?;
    let many = world.registry.requests().len();
    let measured = format!("{many} requests, {admitted} of {PODS} pods admitted");
    Ok(Figure::new(format!("burst, {PODS} pods of one new image"), measured)
        .beside(format!("one pod: {one} requests"))
        .ratio(many as f64 / one as f64)
        .goal("as many, all admitted", many == one && admitted == PODS))
}

/// Posts the review for each pod, all at once, and returns how many were admitted.
async fn post_at_once(target: &Target, body: &Bytes) -> Result<usize> {
    let mut tls = target.tls();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(tls));
    let mut posts = JoinSet::new();
    for _ in 0..BURST_CONNECTIONS {
        let tcp = TcpStream::connect(target.address).await?;
        let stream = connector.connect(ServerName::from(target.address.ip()), tcp).await?;
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = handshake.await?;
        tokio::spawn(connection);
        for _ in 0..PODS / BURST_CONNECTIONS {
            let request = Request::post("https://webhook/validate?timeout=10s")
                .header("content-type", "application/json")
                .body(Full::new(body.clone()))?;
            let mut sender = sender.clone();
            posts.spawn(async move {
                let response = sender.send_request(request).await?;
                let body = response.into_body().collect().await?.to_bytes();
                anyhow::Ok(String::from_utf8_lossy(&body).contains("\"allowed\":true"))
            });
        }
    }
    let mut admitted = 0;
    while let Some(post) = posts.join_next().await {
        admitted += usize::from(post??);
    }
    Ok(admitted)
}

/// Where `make e2e-tools` puts cosign.
fn cosign() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("../../target/e2e-bin/cosign")
}

/// Whole processes on one image, and one that serves.
fn beside_cosign() -> Result<Vec<Figure>> {
    if !cosign().exists() {
        let what = "beside `cosign verify`";
        return Ok(vec![Figure::new(what, "not measured: no cosign; run `make e2e-tools`")]);
    }
    let mut figures = Vec::new();
    for (what, form, referrers_api, _) in
        SHAPES.into_iter().filter(|shape| shape.1 != Form::Notation)
    {
        figures.extend(beside_cosign_on(what, form, referrers_api)?);
    }
    Ok(figures)
}

fn beside_cosign_on(what: &str, form: Form, referrers_api: bool) -> Result<[Figure; 2]> {
    let world = world(form, referrers_api)?;
    let image = world.image("app", "v1", form)?;
    let nobody = ["fulcio", "rekor", "tsa", "ctfe"].map(|name| format!("--no-default-{name}"));
    let mut create = in_folder(&world, cosign());
    create.args(["trusted-root", "create", "--out=empty-root.json"]).args(nobody);
    time_process(&mut create)?;
    world.delay(DELAY);
    let cosign = median_process(&world, || {
        let mut command = in_folder(&world, cosign());
        let bundle = form == Form::Bundle;
        command.args(["verify", "--key=keys-0.pub", "--insecure-ignore-tlog"]);
        command.args(["--trusted-root=empty-root.json", &image]);
        command.arg(format!("--new-bundle-format={bundle}"));
        command
    })?;
    let assay = median_process(&world, || {
        let mut command = in_folder(&world, ASSAY.into());
        command.args(["verify", &image, "--policy=policies"]);
        command
    })?;
    let webhook = world.serve("", None)?;
    let mut connection = world.target(&webhook)?.connect()?;
    connection.admit(&request(&image))?;
    let mut warm: Vec<Duration> =
        (0..100).map(|_| connection.admit(&request(&image))).collect::<Result<_>>()?;
    let warm = median(&mut warm);
    let figure = |what: String, own: Duration, requests: String| {
        let compared = ratio(own, cosign.0);
        Figure::new(what, format!("{}{requests}", millis(own)))
            .beside(format!("`cosign verify`: {}, {} requests", millis(cosign.0), cosign.1))
            .ratio(compared)
            .goal(format!("at most {COSIGN_GOAL}"), compared <= COSIGN_GOAL)
    };
    Ok([
        figure(format!("`assay verify`, {what}"), assay.0, format!(", {} requests", assay.1)),
        figure(format!("warm admission, {what}"), warm, String::new()),
    ])
}

/// A command in the world's folder, with nobody's credentials and settings.
fn in_folder(world: &World, program: PathBuf) -> Command {
    let mut command = Command::new(program);
    let folder = &world.folder.0;
    command.current_dir(folder).env("HOME", folder).env("DOCKER_CONFIG", folder);
    command.env_remove("ASSAY_CONFIG").env_remove("ASSAY_LOG");
    command
}

/// How long a command takes, and how many registry requests it makes.
fn median_process(world: &World, command: impl Fn() -> Command) -> Result<(Duration, usize)> {
    let (mut times, mut requests) = (Vec::new(), Vec::new());
    for _ in 0..TRIES {
        world.registry.clear_requests();
        times.push(time_process(&mut command())?);
        requests.push(world.registry.requests().len());
    }
    let requests = median(&mut requests);
    ensure!(requests > 0, "a verification without requests");
    Ok((median(&mut times), requests))
}
