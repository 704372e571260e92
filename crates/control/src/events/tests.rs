//! Events against an API server that is a function, in virtual time.

use std::collections::BTreeMap;
use std::sync::MutexGuard;

use assay_core::ports::Events;
use assay_testkit::FixedClock;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use kube::client::Body;
use serde_json::Value;

use super::*;
use queue::{NAMESPACE_WAITING_MAX, WAITING_MAX};

/// Stands for no answer.
const HANGS: u16 = 1;

/// An API server that has Events, and some controllers.
#[derive(Default)]
struct ApiServer(Mutex<State>);

#[derive(Default)]
struct State {
    /// By path.
    objects: BTreeMap<String, Value>,
    log: Vec<String>,
    /// How requests are answered whose line begins so.
    fault: Option<(&'static str, u16)>,
}

impl ApiServer {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    async fn serve(&self, request: Request<Body>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.unwrap();
        let path = parts.uri.path().to_owned();
        let line = format!("{} {path}", parts.method);
        self.lock().log.push(line.clone());
        let fault = self.lock().fault.filter(|(beginning, _)| line.starts_with(beginning));
        match fault {
            Some((_, HANGS)) => std::future::pending().await,
            Some((_, status)) => answer(status, &json!({})),
            None => self.lock().serve(&parts.method, path, &body),
        }
    }

    /// Events by object, reason, count and message, in the order in which they were made.
    fn events(&self) -> Vec<String> {
        let state = self.lock();
        let events = state.objects.iter().filter(|(path, _)| path.contains("/events/"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let event = |(_, event): (&String, &Value)| {
            let object = &event["involvedObject"];
            let place = [&object["namespace"], &object["kind"], &object["name"]].map(text);
            format!("{} x{} {}", place.join("/"), event["count"], text(&event["message"]))
        };
        events.map(event).collect()
    }
}

impl State {
    fn serve(&mut self, method: &Method, path: String, body: &[u8]) -> Response<Full<Bytes>> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let path = match *method {
            Method::POST => {
                let beginning = body["metadata"]["generateName"].as_str().unwrap();
                let name = format!("{beginning}{:05}", self.objects.len());
                let path = format!("{path}/{name}");
                self.objects.insert(path.clone(), body);
                self.objects.get_mut(&path).unwrap()["metadata"]["name"] = json!(name);
                path
            }
            Method::PATCH => {
                let Some(event) = self.objects.get_mut(&path) else {
                    return answer(404, &json!({}));
                };
                let fields = body.as_object().unwrap().clone();
                event.as_object_mut().unwrap().extend(fields);
                path
            }
            _ => path,
        };
        match self.objects.get(&path) {
            Some(object) => answer(200, object),
            None => answer(404, &json!({})),
        }
    }
}

fn answer(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let reason = if status == 404 { "NotFound" } else { "Any" };
    let failure = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "code": status,
                         "status": "Failure", "reason": reason, "message": "any"});
    let body = if status == 200 { body } else { &failure };
    let body = Full::new(Bytes::from(body.to_string()));
    Response::builder().status(status).body(body).unwrap()
}

/// A writer that runs.
struct World {
    server: Arc<ApiServer>,
    clock: Arc<FixedClock>,
    writer: Arc<EventWriter>,
    counts: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

impl World {
    fn new() -> Self {
        let server = Arc::new(ApiServer::default());
        let served = server.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = served.clone();
            async move { Ok::<_, std::convert::Infallible>(server.serve(request).await) }
        });
        let clock = Arc::new(FixedClock::default());
        let counts = Arc::new(Mutex::new(BTreeMap::new()));
        let count = {
            let counts = counts.clone();
            move |result, times| *counts.lock().unwrap().entry(result).or_default() += times
        };
        let client = Client::new(service, "default");
        let writer = EventWriter::new(client, "pod-1".to_owned(), clock.clone(), Arc::new(count));
        let writer = Arc::new(writer);
        let run = writer.clone();
        tokio::spawn(async move { run.run().await });
        Self { server, clock, writer, counts }
    }

    /// A server with this ReplicaSet in `shop`, under this owner.
    fn with(path: &str, uid: &str, owner: Option<Value>) -> Self {
        let world = Self::new();
        let owners: Vec<Value> = owner.into_iter().collect();
        let object = json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": "any", "uid": uid, "ownerReferences": owners},
        });
        world.server.lock().objects.insert(path.to_owned(), object);
        world
    }

    /// Refuses the pod, and lets happen what follows at once.
    async fn refuse(&self, refused: RefusedPod) {
        self.writer.refused(refused);
        self.settle().await;
    }

    async fn settle(&self) {
        tokio::time::sleep(LOOK_INTERVAL * 2).await;
    }

    async fn advance(&self, step: Duration) {
        self.clock.advance(step);
        self.settle().await;
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        self.counts.lock().unwrap().iter().map(|(result, count)| (*result, *count)).collect()
    }

    fn requests(&self, beginning: &str) -> usize {
        self.server.lock().log.iter().filter(|line| line.starts_with(beginning)).count()
    }
}

const REPLICA_SET: &str = "/apis/apps/v1/namespaces/shop/replicasets/web-1";

fn reference(version: &str, kind: &str, name: &str, uid: &str) -> ObjectReference {
    let [api_version, kind, name, uid] = [version, kind, name, uid].map(str::to_owned);
    ObjectReference { api_version, kind, name, uid }
}

fn owner(version: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": version, "kind": kind, "name": name, "uid": "above", "controller": true})
}

fn bare_in(namespace: &str, name: &str) -> RefusedPod {
    RefusedPod {
        namespace: namespace.to_owned(),
        pod: reference("v1", "Pod", name, ""),
        controller: None,
        cause: "p IMAGE_DENIED".to_owned(),
        message: "no".to_owned(),
    }
}

fn bare(name: &str) -> RefusedPod {
    bare_in("shop", name)
}

fn owned(version: &str, kind: &str, name: &str) -> RefusedPod {
    RefusedPod { controller: Some(reference(version, kind, name, "uid")), ..bare("web-1-x") }
}

fn replica() -> RefusedPod {
    owned("apps/v1", "ReplicaSet", "web-1")
}

#[tokio::test(start_paused = true)]
async fn writes_what_kubectl_describe_shows() {
    let world = World::with(REPLICA_SET, "uid", Some(owner("apps/v1", "Deployment", "web")));
    world.refuse(replica()).await;
    let state = world.server.lock();
    let expect = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"generateName": "web.", "name": "web.00001", "namespace": "shop"},
        "involvedObject": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web",
                           "namespace": "shop", "uid": "above"},
        "type": "Warning", "reason": "ImageDenied", "message": "no", "count": 1,
        "firstTimestamp": "1970-01-01T00:00:00Z", "lastTimestamp": "1970-01-01T00:00:00Z",
        "source": {"component": "assay"},
        "reportingComponent": "assay", "reportingInstance": "pod-1",
    });
    assert_eq!(state.objects["/api/v1/namespaces/shop/events/web.00001"], expect);
}

/// What has the Event for `refused`, where `path` is an object under this owner.
async fn check_owner(
    name: &str,
    refused: RefusedPod,
    (path, owner): (&str, Option<Value>),
    expect: &str,
) {
    let world = World::with(path, "uid", owner);
    world.refuse(refused).await;
    assert_eq!(world.server.events(), [format!("shop/{expect} x1 no")], "{name}");
}

#[tokio::test(start_paused = true)]
async fn the_top_owner_has_the_event() {
    let deployment = || (REPLICA_SET, Some(owner("apps/v1", "Deployment", "web")));
    let job = "/apis/batch/v1/namespaces/shop/jobs/sum";
    let cron_job = || (job, Some(owner("batch/v1", "CronJob", "daily")));
    let nothing = ("/", None);
    let of = |version, kind| owned(version, kind, "web-1");
    check_owner("deployment", replica(), deployment(), "Deployment/web").await;
    check_owner("replica set", replica(), (REPLICA_SET, None), "ReplicaSet/web-1").await;
    let sum = || owned("batch/v1", "Job", "sum");
    check_owner("cron job", sum(), cron_job(), "CronJob/daily").await;
    check_owner("job", sum(), (job, None), "Job/sum").await;
    let daemon_set = of("apps/v1", "DaemonSet");
    check_owner("daemon set", daemon_set, nothing.clone(), "DaemonSet/web-1").await;
    let stateful_set = of("apps/v1", "StatefulSet");
    check_owner("stateful set", stateful_set, nothing.clone(), "StatefulSet/web-1").await;
    let controller = of("v1", "ReplicationController");
    check_owner("the old one", controller, nothing.clone(), "ReplicationController/web-1").await;
    check_owner("bare pod", bare("web"), nothing, "Pod/web").await;
}

#[tokio::test(start_paused = true)]
async fn claims_about_owners_lead_nowhere_else() {
    let (pod, set) = ("Pod/web-1-x", "ReplicaSet/web-1");
    let of = |version, kind| owned(version, kind, "web-1");
    let nothing = || ("/", None);
    let under = |version, kind| (REPLICA_SET, Some(owner(version, kind, "web-1")));
    check_owner("no such set", replica(), nothing(), pod).await;
    check_owner("foreign", of("example.com/v1", "ReplicaSet"), nothing(), pod).await;
    check_owner("of the cluster", of("v1", "Node"), nothing(), pod).await;
    check_owner("no controller of pods", of("apps/v1", "Deployment"), nothing(), pod).await;
    check_owner("a circle", replica(), under("apps/v1", "ReplicaSet"), set).await;
    check_owner("a foreign owner", replica(), under("argoproj.io/v1alpha1", "Rollout"), set).await;
    check_owner("no owner of sets", replica(), under("batch/v1", "CronJob"), set).await;
    let mut shared = owner("apps/v1", "Deployment", "web");
    shared["controller"] = json!(false);
    check_owner("no controller", replica(), (REPLICA_SET, Some(shared)), set).await;
    let elsewhere = REPLICA_SET.replace("/shop/", "/bank/");
    let above = Some(owner("apps/v1", "Deployment", "web"));
    check_owner("another namespace", replica(), (elsewhere.as_str(), above), pod).await;
    let mut other = replica();
    other.controller.as_mut().unwrap().uid = "another".to_owned();
    check_owner("another of its name", other, (REPLICA_SET, None), pod).await;
}

#[tokio::test(start_paused = true)]
async fn names_that_are_none_are_not_asked_for() {
    let name = |length| "a".repeat(length);
    let named = |name: &str| owned("apps/v1", "ReplicaSet", name);
    let long = [name(254), format!("{}.", name(9))];
    let short = ["", "..", "../../../secrets/key", "a/b", "a?b", "A", "-a", "a%2e"];
    for name in short.into_iter().chain(long.iter().map(String::as_str)) {
        let world = World::new();
        world.refuse(named(name)).await;
        assert_eq!(world.server.events(), ["shop/Pod/web-1-x x1 no"], "{name}");
        assert_eq!(world.requests("GET"), 0, "{name}");
    }
    let world = World::new();
    world.refuse(named(&name(253))).await;
    assert_eq!(world.requests("GET"), 1);

    for (length, expect) in [(128, "DaemonSet/web"), (129, "Pod/web-1-x")] {
        let world = World::new();
        let mut refused = owned("apps/v1", "DaemonSet", "web");
        refused.controller.as_mut().unwrap().uid = name(length);
        world.refuse(refused).await;
        assert_eq!(world.server.events(), [format!("shop/{expect} x1 no")]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_cannot_be_read_has_none_above_it() {
    for status in [HANGS, 403, 500] {
        let above = Some(owner("apps/v1", "Deployment", "web"));
        let world = World::with(REPLICA_SET, "uid", above);
        world.server.lock().fault = Some(("GET", status));
        world.refuse(replica()).await;
        assert_eq!(world.server.events(), ["shop/ReplicaSet/web-1 x1 no"], "{status}");
        assert_eq!(world.counts(), [("sent", 1)], "{status}");

        world.server.lock().fault = None;
        world.clock.advance(Duration::from_secs(60) - Duration::from_nanos(1));
        world.refuse(replica()).await;
        assert_eq!(world.requests("GET"), 1, "{status}");
        world.advance(Duration::from_nanos(1)).await;
        world.refuse(replica()).await;
        assert_eq!(world.requests("GET"), 2, "{status}");
        let expect = ["shop/ReplicaSet/web-1 x2 no", "shop/Deployment/web x1 no"];
        assert_eq!(world.server.events(), expect, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_recurs_is_one_event() {
    let world = World::with(REPLICA_SET, "uid", Some(owner("apps/v1", "Deployment", "web")));
    let message = |text: &str| RefusedPod { message: text.to_owned(), ..replica() };
    world.refuse(message("first")).await;
    for text in ["second", "third"] {
        world.clock.advance(Duration::from_secs(1));
        let pod = reference("v1", "Pod", text, "");
        world.refuse(RefusedPod { pod, ..message(text) }).await;
    }
    world.advance(UPDATE_INTERVAL - Duration::from_secs(2) - Duration::from_nanos(1)).await;
    assert_eq!(world.server.events(), ["shop/Deployment/web x1 first"]);
    assert_eq!(world.counts(), [("sent", 1)]);
    world.advance(Duration::from_nanos(1)).await;
    assert_eq!(world.server.events(), ["shop/Deployment/web x3 third"]);
    assert_eq!(world.counts(), [("aggregated", 2), ("sent", 1)]);
    let event = world.server.lock().objects["/api/v1/namespaces/shop/events/web.00001"].clone();
    let times = (&event["firstTimestamp"], &event["lastTimestamp"]);
    assert_eq!(times, (&json!("1970-01-01T00:00:00Z"), &json!("1970-01-01T00:01:00Z")));
    assert_eq!((world.requests("GET"), world.requests("PATCH")), (1, 1));

    world.advance(UPDATE_INTERVAL * 2).await;
    assert_eq!(world.requests("PATCH"), 1, "nothing new to say");
    let cause = "p TIMEOUT".to_owned();
    world.refuse(RefusedPod { cause, ..message("fourth") }).await;
    assert_eq!(world.server.events()[1], "shop/Deployment/web x1 fourth");
}

#[tokio::test(start_paused = true)]
async fn what_recurs_much_later_is_a_new_event() {
    let world = World::new();
    world.refuse(bare("web")).await;
    world.advance(SERIES_TIME - Duration::from_nanos(1)).await;
    world.refuse(bare("web")).await;
    assert_eq!(world.server.events(), ["shop/Pod/web x2 no"]);
    world.advance(SERIES_TIME).await;
    world.refuse(bare("web")).await;
    assert_eq!(world.server.events(), ["shop/Pod/web x2 no", "shop/Pod/web x1 no"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_was_deleted_is_made_anew() {
    let world = World::new();
    world.refuse(bare("web")).await;
    world.server.lock().objects.clear();
    world.refuse(bare("web")).await;
    world.advance(UPDATE_INTERVAL).await;
    assert_eq!(world.counts(), [("failed", 1), ("sent", 1)]);
    world.refuse(bare("web")).await;
    assert_eq!(world.server.events(), ["shop/Pod/web x1 no"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_api_server_refuses_is_counted() {
    let world = World::new();
    world.server.lock().fault = Some(("POST", 403));
    world.refuse(bare("web")).await;
    assert_eq!(world.counts(), [("failed", 1)]);
    world.server.lock().fault = None;
    world.refuse(bare("web")).await;
    world.server.lock().fault = Some(("PATCH", 500));
    world.refuse(bare("web")).await;
    world.advance(UPDATE_INTERVAL).await;
    assert_eq!(world.counts(), [("failed", 2), ("sent", 1)]);
    world.server.lock().fault = None;
    world.refuse(bare("web")).await;
    world.advance(UPDATE_INTERVAL).await;
    assert_eq!(world.server.events(), ["shop/Pod/web x2 no"]);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_floods_has_its_rate_and_others_have_theirs() {
    let world = World::new();
    let burst = spam::NAMESPACE.burst;
    for index in 0..=burst {
        world.refuse(bare(&format!("web-{index}"))).await;
    }
    assert_eq!(world.counts(), [("dropped", 1), ("sent", u64::from(burst))]);
    // Not even its ReplicaSets are looked up.
    world.refuse(replica()).await;
    assert_eq!(world.requests("GET"), 0);
    world.refuse(bare("web-0")).await;
    world.refuse(bare_in("bank", "web")).await;
    world.clock.advance(spam::NAMESPACE.interval);
    world.refuse(bare("late")).await;
    let sent = u64::from(burst) + 2;
    assert_eq!(world.counts(), [("dropped", 2), ("sent", sent)]);
    world.advance(UPDATE_INTERVAL).await;
    assert_eq!(world.counts(), [("aggregated", 1), ("dropped", 2), ("sent", sent)]);
}

#[tokio::test(start_paused = true)]
async fn where_the_api_server_is_slow_a_bounded_number_waits() {
    let world = World::new();
    world.server.lock().fault = Some(("POST", HANGS));
    // The first is on its way, and waits no longer.
    world.writer.refused(bare("first"));
    tokio::time::sleep(Duration::from_nanos(1)).await;
    for index in 0..NAMESPACE_WAITING_MAX {
        world.writer.refused(bare(&format!("web-{index}")));
    }
    assert_eq!(world.counts(), []);
    world.writer.refused(bare("one-more"));
    assert_eq!(world.counts(), [("dropped", 1)]);
    world.writer.refused(bare("web-0"));
    assert_eq!(world.counts(), [("dropped", 1)], "one like it waits");

    for index in NAMESPACE_WAITING_MAX..WAITING_MAX {
        world.writer.refused(bare_in(&format!("n{index}"), "web"));
    }
    assert_eq!(world.counts(), [("dropped", 1)]);
    world.writer.refused(bare_in("bank", "web"));
    assert_eq!(world.counts(), [("dropped", 2)]);
}

#[tokio::test(start_paused = true)]
async fn what_came_twice_while_it_waited_counts_twice() {
    let world = World::new();
    for message in ["first", "second"] {
        world.writer.refused(RefusedPod { message: message.to_owned(), ..bare("web") });
    }
    world.settle().await;
    assert_eq!(world.server.events(), ["shop/Pod/web x2 second"]);
    assert_eq!(world.counts(), [("aggregated", 1), ("sent", 1)]);
}

#[test]
fn a_bounded_number_of_events_go_on() {
    let key = |index: usize| Key::new(&bare(&index.to_string()), reference("v1", "Pod", "", ""));
    let series = |index: u64| Series {
        name: String::new(),
        count: 1,
        unsaid: 3,
        message: String::new(),
        seen: Duration::from_secs(index),
        written: Duration::ZERO,
    };
    let distinct = |index: usize| Key { cause: index.to_string(), ..key(index) };
    let mut books = Books::default();
    for index in 0..SERIES_MAX {
        assert_eq!(books.keep(distinct(index), series(index as u64 + 9)), 0);
    }
    assert_eq!(books.keep(distinct(SERIES_MAX), series(SERIES_MAX as u64 + 9)), 3);
    assert_eq!(books.series.len(), SERIES_MAX);
    assert!(!books.series.contains_key(&distinct(0)), "the one that was quiet for longest");
    assert!(books.series.contains_key(&distinct(SERIES_MAX)));
}

#[tokio::test(start_paused = true)]
async fn a_bounded_number_of_owners_is_kept() {
    let (world, mut owners) = (World::new(), Owners::default());
    let client = &world.writer.client;
    let ask = |index: usize| owned("apps/v1", "ReplicaSet", &format!("web-{index}"));
    for index in 0..owners::OWNERS_MAX {
        owners.ask(client, &ask(index), Duration::ZERO).await;
    }
    assert!(owners.known(&ask(0), Duration::ZERO).is_some());
    owners.ask(client, &ask(owners::OWNERS_MAX), Duration::ZERO).await;
    assert!(owners.known(&ask(0), Duration::ZERO).is_none());
    assert!(owners.known(&ask(owners::OWNERS_MAX), Duration::ZERO).is_some());
}
