//! Signatures that ask for a plugin.

use super::*;
use crate::envelope::header::{PLUGIN, PLUGIN_MIN_VERSION};
use crate::plugin::{PluginAnswer, PluginError, PluginRequest, Version};

/// A plugin that gives an answer and remembers what it was asked.
pub(super) struct Fake {
    name: &'static str,
    version: &'static str,
    capabilities: Vec<Capability>,
    answer: Result<PluginAnswer, PluginError>,
    asked: Mutex<Vec<Vec<Capability>>>,
}

impl VerificationPlugin for Fake {
    fn name(&self) -> &str {
        self.name
    }

    fn version(&self) -> Version {
        self.version.parse().unwrap()
    }

    fn capabilities(&self) -> &[Capability] {
        &self.capabilities
    }

    fn verify<'a>(
        &'a self,
        request: PluginRequest<'a>,
    ) -> BoxFuture<'a, Result<PluginAnswer, PluginError>> {
        assert!(request.critical_attributes().all(|attribute| attribute.critical));
        assert_eq!(request.statement.name(), "a");
        self.asked.lock().unwrap().push(request.capabilities.to_vec());
        Box::pin(std::future::ready(self.answer.clone()))
    }
}

const IDENTITY: Capability = Capability::TrustedIdentity;
const REVOCATION: Capability = Capability::RevocationCheck;
const NO: &str = "not on the list";

/// Asks for a plugin that is there, makes these checks and says these things.
fn asks(case: &mut Case, results: &[(Capability, bool)]) {
    case.extended = vec![(PLUGIN, "acme", true)];
    let result = |good| if good { Ok(()) } else { Err(NO.to_owned()) };
    let answer = PluginAnswer {
        results: results.iter().map(|&(capability, good)| (capability, result(good))).collect(),
        ..PluginAnswer::default()
    };
    case.plugins = vec![Fake {
        name: "acme",
        version: "1.2.0-rc.2",
        capabilities: results.iter().map(|(capability, _)| *capability).collect(),
        answer: Ok(answer),
        asked: Mutex::default(),
    }];
}

fn stranger(case: &mut Case) {
    case.identities = vec!["email:a@b"];
}

fn revoked(case: &mut Case) {
    case.leaf_status = CertificateStatus::Revoked;
}

fn needs(case: &mut Case, version: &'static str) {
    asks(case, &[(IDENTITY, true)]);
    case.extended.push((PLUGIN_MIN_VERSION, version, true));
}

#[test]
fn asks_the_plugin_that_the_signature_names() {
    check_verdicts(&[
        ("there", |case| asks(case, &[(IDENTITY, true), (REVOCATION, true)]), PASS),
        (
            "not asked for",
            |case| {
                asks(case, &[(IDENTITY, false)]);
                case.extended.clear();
            },
            PASS,
        ),
        (
            "other name",
            |case| {
                asks(case, &[(IDENTITY, true)]);
                case.plugins[0].name = "Acme";
            },
            ("plugin", "PluginUnavailable"),
        ),
        (
            "second of two",
            |case| {
                asks(case, &[(IDENTITY, true)]);
                let acme = case.plugins.pop();
                asks(case, &[(IDENTITY, false)]);
                case.plugins[0].name = "other";
                case.plugins.extend(acme);
            },
            PASS,
        ),
        ("no checks", |case| asks(case, &[]), ("plugin", "PluginFailed")),
        (
            "fails",
            |case| {
                asks(case, &[(IDENTITY, true)]);
                case.plugins[0].answer = Err(PluginError::TimedOut);
            },
            ("plugin", "PluginFailed"),
        ),
        (
            "says nothing of one check",
            |case| {
                asks(case, &[(IDENTITY, true)]);
                case.plugins[0].capabilities.push(REVOCATION);
            },
            ("plugin", "PluginFailed"),
        ),
    ]);
}

#[test]
fn takes_plugins_of_the_least_version_or_above() {
    check_verdicts(&[
        ("equal", |case| needs(case, "1.2.0-rc.2"), PASS),
        ("equal but for the build", |case| needs(case, "1.2.0-rc.2+zzz"), PASS),
        ("older pre-release", |case| needs(case, "1.2.0-rc.1"), PASS),
        ("older", |case| needs(case, "1.1.99"), PASS),
        ("later pre-release", |case| needs(case, "1.2.0-rc.10"), ("plugin", "PluginVersion")),
        ("the release", |case| needs(case, "1.2.0"), ("plugin", "PluginVersion")),
        ("prefixed", |case| needs(case, "v1.0.0"), ("plugin", "PluginHeader")),
        ("short", |case| needs(case, "1.0"), ("plugin", "PluginHeader")),
        ("leading zero", |case| needs(case, "1.01.0"), ("plugin", "PluginHeader")),
        ("blank", |case| needs(case, " "), ("plugin", "PluginHeader")),
        (
            "beyond 64 bits",
            |case| needs(case, "18446744073709551616.0.0"),
            ("plugin", "PluginHeader"),
        ),
        (
            "not critical",
            |case| {
                needs(case, "1.0.0");
                case.extended[1].2 = false;
            },
            ("plugin", "PluginHeader"),
        ),
    ]);
}

#[test]
fn refuses_headers_that_ask_for_a_plugin_in_a_wrong_way() {
    check_verdicts(&[
        (
            "blank",
            |case| {
                asks(case, &[(IDENTITY, true)]);
                case.extended[0].1 = " ";
            },
            ("plugin", "PluginHeader"),
        ),
        (
            "not critical",
            |case| {
                asks(case, &[(IDENTITY, true)]);
                case.extended[0].2 = false;
            },
            ("plugin", "PluginHeader"),
        ),
    ]);
    let attribute = |name: &str, text: Option<&str>| {
        let (name, text) = (name.to_owned(), text.map(str::to_owned));
        vec![crate::envelope::ExtendedAttribute { name, critical: true, text }]
    };
    let mut case = Case::default();
    asks(&mut case, &[(IDENTITY, true)]);
    let plugins: [&dyn VerificationPlugin; 1] = [&case.plugins[0]];
    let find =
        |text| plugin_check::find(&plugins, &attribute(PLUGIN, text)).map(|one| one.is_some());
    assert_eq!(find(Some("acme")), Ok(true));
    assert_eq!(
        find(None),
        Err(VerificationError::PluginHeader { header: PLUGIN }),
        "of another type"
    );
}

#[test]
fn takes_the_word_of_a_plugin_for_the_signer() {
    check_verdicts(&[
        (
            "stranger, but known to the plugin",
            |case| {
                asks(case, &[(IDENTITY, true)]);
                stranger(case);
            },
            PASS,
        ),
        (
            "stranger, and the plugin is asked of revocation only",
            |case| {
                asks(case, &[(REVOCATION, true)]);
                stranger(case);
            },
            ("authenticity", "IdentityMismatch"),
        ),
        (
            "known to the plugin, but in no trust store",
            |case| {
                asks(case, &[(IDENTITY, true)]);
                case.anchor = |pki| &pki.stranger.certificate;
            },
            ("authenticity", "NotTrusted"),
        ),
        (
            "unknown to the plugin",
            |case| asks(case, &[(IDENTITY, false)]),
            ("authenticity", "PluginRejected"),
        ),
        (
            "unknown to the plugin, which is to be logged",
            |case| {
                asks(case, &[(IDENTITY, false)]);
                case.overrides = json!({"authenticity": "log"});
            },
            PASS,
        ),
        (
            "asked before the payload is compared",
            |case| {
                asks(case, &[(IDENTITY, false)]);
                case.subject.2 = 3;
            },
            ("authenticity", "PluginRejected"),
        ),
        (
            "asked after expiry",
            |case| {
                asks(case, &[(IDENTITY, false)]);
                case.expiry = Some("2025-12-31T00:00:00Z");
            },
            ("expiry", "Expired"),
        ),
    ]);
}

#[test]
fn takes_the_word_of_a_plugin_for_revocation() {
    check_verdicts(&[
        (
            "revoked, but not to the plugin",
            |case| {
                asks(case, &[(REVOCATION, true)]);
                revoked(case);
            },
            PASS,
        ),
        (
            "revoked, and the plugin is asked of identity only",
            |case| {
                asks(case, &[(IDENTITY, true)]);
                revoked(case);
            },
            ("revocation", "Revoked"),
        ),
        (
            "revoked to the plugin",
            |case| asks(case, &[(REVOCATION, false)]),
            ("revocation", "PluginRejected"),
        ),
        (
            "revoked to the plugin, which is to be logged",
            |case| {
                asks(case, &[(REVOCATION, false)]);
                case.level = "permissive";
            },
            PASS,
        ),
    ]);
}

#[test]
fn fails_critical_attributes_that_the_plugin_did_not_process() {
    fn processes(case: &mut Case, names: &[&str]) {
        asks(case, &[(REVOCATION, true)]);
        case.extended.extend([("a", "1", true), ("b", "2", true), ("c", "3", false)]);
        let processed = names.iter().map(|name| (*name).to_owned()).collect();
        case.plugins[0].answer.as_mut().unwrap().processed_attributes = processed;
    }
    check_verdicts(&[
        ("all", |case| processes(case, &["a", "b"]), PASS),
        ("all but one", |case| processes(case, &["a", "c"]), ("critical", "UnknownCritical")),
        (
            "all but one, at level audit",
            |case| {
                processes(case, &["a"]);
                case.level = "audit";
            },
            ("critical", "UnknownCritical"),
        ),
        (
            "all, had it been asked",
            |case| {
                processes(case, &["a", "b"]);
                case.overrides = json!({"revocation": "skip"});
            },
            ("critical", "UnknownCritical"),
        ),
    ]);
}

#[test]
fn asks_only_what_the_policy_wants_to_know() {
    const BOTH: &[(Capability, bool)] = &[(IDENTITY, true), (REVOCATION, true)];
    let skip = json!({"revocation": "skip"});
    let cases: [(&str, Change, &[&[Capability]], usize); 6] = [
        ("both", |case| asks(case, BOTH), &[&[IDENTITY, REVOCATION]], 0),
        ("identity", |case| asks(case, &BOTH[..1]), &[&[IDENTITY]], 1),
        ("revocation", |case| asks(case, &BOTH[1..]), &[&[REVOCATION]], 0),
        (
            "both, but revocation is skipped",
            |case| {
                asks(case, BOTH);
                case.overrides = json!({"revocation": "skip"});
            },
            &[&[IDENTITY]],
            0,
        ),
        (
            "revocation, but that is skipped",
            |case| {
                asks(case, &BOTH[1..]);
                case.overrides = json!({"revocation": "skip"});
            },
            &[],
            0,
        ),
        (
            "both, but the chain is not trusted",
            |case| {
                asks(case, BOTH);
                case.level = "audit";
                case.anchor = |pki| &pki.stranger.certificate;
            },
            &[&[IDENTITY]],
            0,
        ),
    ];
    for (name, change, expect, oracle_asked) in cases {
        let mut case = Case::default();
        change(&mut case);
        let (outcome, asked, _) = case.verify();
        assert!(outcome.verdict.is_ok(), "{name} {:?}", outcome.verdict.err());
        assert_eq!(*case.plugins[0].asked.lock().unwrap(), expect, "{name}");
        assert_eq!(asked, oracle_asked, "{name}");
        let checks: Vec<_> = outcome.results.iter().map(|result| result.check).collect();
        let skipped = case.overrides == skip;
        assert_eq!(checks, ValidationType::ALL[..if skipped { 4 } else { 5 }], "{name}");
    }
}

#[test]
fn reports_what_a_plugin_says_in_the_place_of_its_check() {
    let mut case = Case { level: "audit", ..Case::default() };
    asks(&mut case, &[(IDENTITY, false), (REVOCATION, false)]);
    let (outcome, _, _) = case.verify();
    assert!(outcome.verdict.is_ok());
    let said = |capability| VerificationError::PluginRejected {
        plugin: "acme".to_owned(),
        capability,
        reason: NO.to_owned(),
    };
    let (identity, revocation) = (said(IDENTITY), said(REVOCATION));
    let warnings: Vec<_> = outcome.warnings().collect();
    let expect =
        [(ValidationType::Authenticity, &identity), (ValidationType::Revocation, &revocation)];
    assert_eq!(warnings, expect);
}

#[test]
fn finds_the_plugin_that_envelopes_of_notation_core_go_ask_for() {
    let files = [
        (EnvelopeFormat::Cose, &include_bytes!("../../../tests/data/notation-go/plugin.cose")[..]),
        (EnvelopeFormat::Jws, &include_bytes!("../../../tests/data/notation-go/plugin.jws")[..]),
    ];
    for (format, bytes) in files {
        let envelope = Envelope::parse(format, bytes).unwrap().verify_integrity().unwrap();
        let attributes: Vec<_> = crate::plugin::critical_attributes(&envelope)
            .map(|attribute| (attribute.name.as_str(), attribute.text.as_deref()))
            .collect();
        assert_eq!(attributes, [("com.example.critical", Some("a")), ("com.example.number", None)]);
        let mut case = Case::default();
        asks(&mut case, &[(IDENTITY, true)]);
        for (version, expect) in
            [("1.2.0-rc.1", ""), ("1.2.0-rc.2", ""), ("1.2.0-rc.0", "PluginVersion")]
        {
            case.plugins[0].version = version;
            let plugins: [&dyn VerificationPlugin; 1] = [&case.plugins[0]];
            let found = plugin_check::find(&plugins, &envelope.attributes().extended);
            let code = found.err().map_or("", |error| error.code());
            assert_eq!(code, expect, "{format:?} {version}");
        }
    }
}
