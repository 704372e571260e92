use super::*;
use crate::test_der::{oid, sequence, tlv};

const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;

/// A relative distinguished name with one attribute of 2.5.4.
fn rdn(arc: u8, tag: u8, value: &[u8]) -> Vec<u8> {
    tlv(0x31, &[&sequence(&[&oid(&[0x55, 4, arc]), &tlv(tag, &[value])])])
}

fn name(parts: &[Vec<u8>]) -> Vec<u8> {
    sequence(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// C=US, ST=WA, L=Seattle, and an O and a CN of that text, with whatever else.
fn subject(o: &str, more: &[Vec<u8>]) -> Vec<u8> {
    let mut parts = vec![
        rdn(6, PRINTABLE, b"US"),
        rdn(8, UTF8, b"WA"),
        rdn(7, UTF8, b"Seattle"),
        rdn(10, UTF8, o.as_bytes()),
        rdn(3, UTF8, b"Vec Leaf"),
    ];
    parts.extend_from_slice(more);
    name(&parts)
}

fn matches(policy: &str, subject: &[u8]) -> Result<bool, IdentityError> {
    let TrustedIdentity::X509Subject(policy) = TrustedIdentity::parse(policy)? else {
        return Ok(false);
    };
    Ok(policy.is_subset_of(&DistinguishedName::from_subject_der(subject)?))
}

#[test]
fn matches_what_the_policy_says_and_nothing_else() {
    let acme = subject("Acme", &[]);
    let cases = [
        ("x509.subject: C=US, ST=WA, O=Acme", true),
        ("x509.subject:O=Acme,S=WA,C=US", true),
        ("x509.subject:C=US;ST=WA;O=Acme", true),
        ("x509.subject:C=US,ST=WA,O=Acme,CN=Vec Leaf,L=Seattle", true),
        (r"x509.subject:C=US,ST=WA,O=\41cme", true),
        ("x509.subject: C = US , ST = WA , O = Acme ", true),
        ("x509.subject:C=US,ST=WA,O=acme", false),
        ("x509.subject:C=US,ST=WA,O=Acme,OU=x", false),
        ("x509.subject:C=US,ST=WA,O=Acme,emailAddress=a@b", false),
        ("x509.subject:C=US,ST=WA,O=Acme,c=US", false),
        ("x509.subject:C=US,ST=WA,O=\"Acme\"", false),
        (r"x509.subject:C=US,ST=WA,O=Acme\ ", false),
        ("email:a@b", false),
        ("X509.subject:C=US,ST=WA,O=Acme", false),
    ];
    for (policy, expect) in cases {
        assert_eq!(matches(policy, &acme), Ok(expect), "{policy}");
    }
}

#[test]
fn reads_escapes_and_spaces_of_values() {
    let cases = [
        (r"O=Acme\, Inc\; \\ x", r"Acme, Inc; \ x"),
        ("O=  My.  Org  ", "My.  Org"),
        (r"O=\ My Org\  ", " My Org "),
        (r#"O=\"\#\+\<\=\>\20\2c"#, "\"#+<=> ,"),
        (r"O=\c3\A9", "\u{e9}"),
        ("O=\u{e9}=b", "\u{e9}=b"),
        ("O=a#b", "a#b"),
    ];
    for (policy, value) in cases {
        let subject = subject(value, &[]);
        let policy = format!("x509.subject:C=US,ST=WA,{policy}");
        assert_eq!(matches(&policy, &subject), Ok(true), "{policy}");
        assert_eq!(matches(&policy, &self::subject("x", &[])), Ok(false), "{policy}");
    }
}

#[test]
fn refuses_names_without_one_meaning() {
    use IdentityError as E;
    let text = |name: &str| name.to_owned();
    let cases = [
        ("c=US,ST=WA,O=Acme", E::Missing { name: "C" }),
        ("C=US,ST=WA", E::Missing { name: "O" }),
        ("C=US,O=Acme", E::Missing { name: "ST" }),
        ("C=US+ST=WA,O=Acme", E::MultiValued),
        ("C=US,C=IN,ST=WA,O=Acme", E::Repeated { name: text("C") }),
        ("C=US,S=WA,ST=WA,O=Acme", E::Repeated { name: text("ST") }),
        ("C=US,ST=WA,O=Acme,X=1,X=2", E::Repeated { name: text("X") }),
        ("C=US,ST=WA,O=a=#b", E::HexValue),
        ("C=US,ST=WA,O= #b", E::HexValue),
        ("C=US,ST=WA,O=Acme,CN=", E::EmptyValue { name: text("CN") }),
        ("C=US,ST=WA,O=Acme,CN=  ", E::EmptyValue { name: text("CN") }),
        ("C=US,ST=WA,O=Acme,", E::Malformed { part: text("") }),
        ("C=US,,ST=WA,O=Acme", E::Malformed { part: text("") }),
        ("C=US,ST=WA,O=Acme,x", E::Malformed { part: text("x") }),
        ("C=US,ST=WA,O=Acme,=x", E::Malformed { part: text("=x") }),
        (r"C=US,ST=WA,O=Acme,\43N=x", E::Malformed { part: text(r"\43N=x") }),
        (r"C=US,ST=WA,O=Acme\", E::Escape { part: text(r"Acme\") }),
        (r"C=US,ST=WA,O=\zz", E::Escape { part: text(r"\zz") }),
        (r"C=US,ST=WA,O=\4", E::Escape { part: text(r"\4") }),
        (r"C=US,ST=WA,O=\+1", E::Missing { name: "none" }),
        (r"C=US,ST=WA,O=\ff", E::Escape { part: text(r"\ff") }),
        ("", E::Malformed { part: text("") }),
    ];
    for (policy, expect) in cases {
        let seen = DistinguishedName::parse(policy);
        // The one case that is fine shows that an escaped plus sign is no separator.
        match expect {
            E::Missing { name: "none" } => assert!(seen.is_ok(), "{policy}"),
            expect => assert_eq!(seen, Err(expect), "{policy}"),
        }
    }
    assert_eq!(TrustedIdentity::parse("C=US"), Err(E::NoKind));
    assert_eq!(TrustedIdentity::parse("*"), Ok(TrustedIdentity::Any));
}

#[test]
fn reads_subjects_of_every_string_type() {
    let policy = "x509.subject:C=US,ST=WA,O=Acme,OU=x";
    let wide: Vec<u8> = "x".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let cases: [(&str, u8, &[u8], bool); 10] = [
        ("UTF8String", UTF8, b"x", true),
        ("PrintableString", PRINTABLE, b"x", true),
        ("IA5String", 0x16, b"x", true),
        ("NumericString", 0x12, b"x", true),
        ("TeletexString", 0x14, b"x", true),
        ("BMPString", 0x1e, &wide, true),
        ("UTF8String of no UTF-8", UTF8, b"\xff", false),
        ("TeletexString beyond ASCII", 0x14, "\u{e9}".as_bytes(), false),
        ("BMPString of an odd length", 0x1e, b"\0x\0", false),
        ("INTEGER", 2, b"x", false),
    ];
    for (case, tag, value, is_text) in cases {
        let expect =
            if is_text { Ok(true) } else { Err(IdentityError::NotText { name: "OU".to_owned() }) };
        assert_eq!(matches(policy, &subject("Acme", &[rdn(11, tag, value)])), expect, "{case}");
    }
}

#[test]
fn refuses_subjects_without_one_meaning() {
    use IdentityError as E;
    let policy = "x509.subject:C=US,ST=WA,O=Acme";
    let attribute =
        |arc: u8, value: &[u8]| sequence(&[&oid(&[0x55, 4, arc]), &tlv(UTF8, &[value])]);
    let two = tlv(0x31, &[&attribute(11, b"x"), &attribute(11, b"y")]);
    let bare = |arcs: [u8; 2]| name(&arcs.map(|arc| rdn(arc, UTF8, b"x")));
    let trailing = [subject("Acme", &[]), vec![0]].concat();
    let cases = [
        (
            "two units",
            subject("Acme", &[rdn(11, UTF8, b"x"), rdn(11, UTF8, b"y")]),
            E::Repeated { name: "OU".to_owned() },
        ),
        ("two units in one part", subject("Acme", &[two]), E::Repeated { name: "OU".to_owned() }),
        ("empty part", subject("Acme", &[tlv(0x31, &[])]), E::NotDer),
        (
            "empty value",
            subject("Acme", &[rdn(11, UTF8, b"")]),
            E::EmptyValue { name: "OU".to_owned() },
        ),
        ("=# in a value", subject("Acme=#", &[]), E::HexValue),
        ("no O", bare([6, 8]), E::Missing { name: "O" }),
        ("no C", bare([8, 10]), E::Missing { name: "C" }),
        ("no ST", bare([6, 10]), E::Missing { name: "ST" }),
        ("nothing", name(&[]), E::Missing { name: "C" }),
        ("trailing byte", trailing, E::NotDer),
        ("no DER", b"C=US,ST=WA,O=Acme".to_vec(), E::NotDer),
    ];
    for (case, subject, expect) in cases {
        assert_eq!(matches(policy, &subject), Err(expect), "{case}");
    }
}

#[test]
fn reads_attributes_that_share_a_part() {
    let attribute =
        |arc: u8, value: &[u8]| sequence(&[&oid(&[0x55, 4, arc]), &tlv(UTF8, &[value])]);
    let part = tlv(0x31, &[&attribute(11, b"x"), &attribute(9, b"y")]);
    let cases = [("OU=x,STREET=y", true), ("STREET=y", true), ("OU=y", false), ("STREET=x", false)];
    for (attributes, expect) in cases {
        let policy = format!("x509.subject:C=US,ST=WA,O=Acme,{attributes}");
        assert_eq!(
            matches(&policy, &subject("Acme", std::slice::from_ref(&part))),
            Ok(expect),
            "{attributes}"
        );
    }
}

#[test]
fn leaves_out_attributes_that_policies_cannot_name() {
    // emailAddress twice: 1.2.840.113549.1.9.1.
    let email = oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1]);
    let email = tlv(0x31, &[&sequence(&[&email, &tlv(0x16, &[b"a@b"])])]);
    let subject = subject("Acme", &[email.clone(), email]);
    assert_eq!(matches("x509.subject:C=US,ST=WA,O=Acme", &subject), Ok(true));
}

#[test]
fn never_panics_on_mutated_names() {
    let text = r"C=US, ST=W\, A;O=\c3\a9 \ ,CN=a=b";
    let der = subject("Acme", &[]);
    assert!(
        DistinguishedName::parse(text).is_ok() && DistinguishedName::from_subject_der(&der).is_ok()
    );
    // A linear congruential generator: the same mutations on each run.
    let mut state = 1_u64;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for _ in 0..20_000 {
        let mut text: Vec<char> = text.chars().collect();
        let mut der = der.clone();
        for _ in 0..=next(4) {
            let at = next(text.len());
            text[at] = ['\\', '=', ',', ' ', '#', '+', '\u{e9}', '4'][next(8)];
            let at = next(der.len());
            der[at] = u8::try_from(next(256)).unwrap();
        }
        // Whatever still is a name, is a name with the three attributes.
        for name in [
            DistinguishedName::parse(&String::from_iter(text)),
            DistinguishedName::from_subject_der(&der),
        ] {
            assert!(
                name.is_err()
                    || REQUIRED
                        .iter()
                        .all(|key| !name.as_ref().unwrap().attributes[*key].is_empty())
            );
        }
    }
}

#[test]
fn writes_names_for_people() {
    use crate::signer::name;
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&[("C", "US"), ("O", "Acme"), ("CN", "a")], "CN=a,O=Acme,C=US"),
        (&[("O", "Acme, \"Inc\"+"), ("CN", " #a ")], "CN=\\ #a\\ ,O=Acme\\, \\\"Inc\\\"\\+"),
        (&[("CN", "#a#")], "CN=\\#a#"),
    ];
    for (parts, expect) in cases {
        assert_eq!(name_text(&name(parts)), expect);
    }
    assert_eq!(name_text(b"junk"), "");
}
