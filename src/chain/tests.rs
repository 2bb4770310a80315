//! Chains over session starts made by hand, after facts §2.4.

use chrono::{DateTime, TimeDelta, Utc};

use super::starts::Starts;
use super::walk;
use super::{EndCode, Identity, LINKS_MAX, Proof, SessionStart, Sought, Trail};

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

/// A session of a role, as its calls tell it.
fn role(name: &str, key: &str, began: Option<i64>) -> Identity {
    Identity {
        principal: Some(format!("arn:aws:iam::111122223333:role/{name}")),
        principal_type: Some("AssumedRole".to_owned()),
        principal_id: Some(format!("AROA{name}")),
        session_name: Some("s".to_owned()),
        access_key_id: Some(key.to_owned()),
        session_start: began.map(at),
        ..Identity::default()
    }
}

fn user(name: &str) -> Identity {
    Identity {
        principal: Some(format!("arn:aws:iam::111122223333:user/{name}")),
        principal_type: Some("IAMUser".to_owned()),
        principal_id: Some(format!("AIDA{name}")),
        access_key_id: Some("AKIAEXAMPLE".to_owned()),
        ..Identity::default()
    }
}

/// An `AssumeRole` at a minute, for an hour.
fn assumed(event: &str, minute: i64, name: &str, key: &str, caller: &Identity) -> SessionStart {
    let caller = caller.clone();
    SessionStart {
        event_id: event.to_owned(),
        event_name: "AssumeRole".to_owned(),
        started_at: at(minute),
        expires_at: Some(at(minute + 60)),
        session_id: Some(format!("AROA{name}:s")),
        access_key_id: Some(key.to_owned()),
        caller: caller.principal,
        caller_type: caller.principal_type,
        caller_id: caller.principal_id,
        caller_session_name: caller.session_name,
        caller_access_key_id: caller.access_key_id,
        caller_session_start: caller.session_start,
        ..SessionStart::default()
    }
}

fn starts(all: &[SessionStart]) -> Starts {
    let mut starts = Starts::default();
    starts.add(all.to_vec());
    starts
}

/// The way back from a call at a minute, by hand or through a service.
fn back(all: &[SessionStart], identity: &Identity, minute: i64, via: Option<&str>) -> Trail {
    let via = via.map(str::to_owned);
    walk::back(&starts(all), &Sought { identity: identity.clone(), at: at(minute), via, shared_event_id: None })
}

/// The proofs and events of the links, and who is at the end.
fn walked(all: &[SessionStart], identity: &Identity, minute: i64) -> (Vec<(Proof, String)>, EndCode, Option<String>) {
    let trail = back(all, identity, minute, None);
    let links = trail.links.into_iter().map(|link| (link.proof, link.start.event_id));
    (links.collect(), trail.end.code, trail.end.principal)
}

#[test]
fn a_role_assumed_by_a_role_leads_to_the_user() {
    let first = role("A", "ASIA1", Some(0));
    let all = [assumed("e1", 0, "A", "ASIA1", &user("alice")), assumed("e2", 5, "B", "ASIA2", &first)];
    let (links, end, who) = walked(&all, &role("B", "ASIA2", Some(5)), 10);
    assert_eq!(links, [(Proof::AccessKey, "e2".to_owned()), (Proof::AccessKey, "e1".to_owned())]);
    assert_eq!((end, who), (EndCode::User, user("alice").principal));
}

#[test]
fn a_forwarded_session_is_known_by_its_id_and_second_and_not_by_another_second() {
    let all = [assumed("e1", 0, "A", "ASIA1", &user("alice"))];
    let lambda = Some("lambda.amazonaws.com");
    let trail = back(&all, &role("A", "ASIAFORWARDED", Some(0)), 10, lambda);
    assert_eq!((trail.links.len(), trail.end.code), (1, EndCode::User));
    assert_eq!(trail.links[0].proof, Proof::CreationDate);
    // A session that began at another time is another session, though its id is the same: the first is no more than a hint.
    let trail = back(&all, &role("A", "ASIAOTHER", Some(3)), 10, lambda);
    assert_eq!((trail.links.len(), trail.end.code), (0, EndCode::NoSessionStart));
    assert!(trail.end.hints.iter().any(|hint| hint.contains("user/alice") && hint.contains("e1")), "{:?}", trail.end);
    // Nobody forwarded this call: its key is not the one that was given out, and so the session is another.
    let trail = back(&all, &role("A", "ASIAOTHER", Some(0)), 10, None);
    assert_eq!((trail.links.len(), trail.end.code), (0, EndCode::NoSessionStart));
    assert!(trail.end.hints.iter().any(|hint| hint.contains("console")), "{:?}", trail.end);
}

#[test]
fn where_starts_of_several_callers_fit_nobody_is_named_and_all_are_told() {
    let callers = [user("alice"), user("bob")];
    let hubs = [role("Hub", "ASIAHUB1", Some(0)), role("Hub", "ASIAHUB2", Some(0))];
    for [one, other] in [callers, hubs] {
        let all = [assumed("e1", 0, "A", "ASIA1", &one), assumed("e2", 0, "A", "ASIA2", &other)];
        let trail = back(&all, &role("A", "ASIAFORWARDED", Some(0)), 10, Some("s3.amazonaws.com"));
        assert_eq!((trail.links.len(), trail.end.code, trail.end.is_known), (0, EndCode::Ambiguous, false));
        assert!(["e1", "e2"].iter().all(|event| trail.end.hints.iter().any(|hint| hint.contains(event))), "{trail:?}");
        // Each one's own key tells them apart.
        assert_eq!(back(&all, &role("A", "ASIA2", Some(0)), 10, None).links[0].start.event_id, "e2");
    }
    // The same caller twice is one.
    let all = [assumed("e1", 0, "A", "ASIA1", &user("alice")), assumed("e2", 0, "A", "ASIA2", &user("alice"))];
    let trail = back(&all, &role("A", "ASIAFORWARDED", Some(0)), 10, Some("s3.amazonaws.com"));
    assert_eq!((trail.links.len(), trail.end.code), (1, EndCode::User));
}

#[test]
fn an_opaque_id_is_known_by_time_while_one_session_lasts() {
    let opaque = Identity {
        principal: Some("acct:111122223333/AROAA".to_owned()),
        principal_type: Some("AWSAccount".to_owned()),
        principal_id: Some("AROAA".to_owned()),
        session_name: Some("s".to_owned()),
        ..Identity::default()
    };
    let all = [assumed("e1", 0, "A", "ASIA1", &user("alice")), assumed("e2", 20, "A", "ASIA2", &user("bob"))];
    assert_eq!(walked(&all, &opaque, 10).0, [(Proof::Time, "e1".to_owned())]);
    assert_eq!(walked(&all, &opaque, 30).1, EndCode::Ambiguous);
    assert_eq!(walked(&all, &opaque, 70).0, [(Proof::Time, "e2".to_owned())]);
    let (links, end, _) = walked(&all, &opaque, 90);
    assert_eq!((links.len(), end), (0, EndCode::OtherAccount));
}

#[test]
fn a_start_of_which_sts_tells_no_id_is_known_by_the_sessions_arn() {
    let arn = "arn:aws:sts::111122223333:assumed-role/A/s".to_owned();
    let ec2 = Identity {
        principal: Some("service:ec2.amazonaws.com".to_owned()),
        principal_type: Some("AWSService".to_owned()),
        ..Identity::default()
    };
    let start = |event: &str, caller: &Identity| SessionStart {
        session_id: None,
        session_arn: Some(arn.clone()),
        session_name: Some("i-0abc".to_owned()),
        ..assumed(event, 0, "A", "ASIA1", caller)
    };
    let identity = Identity { session_arn: Some(arn.clone()), ..role("A", "ASIAFORWARDED", Some(0)) };
    let trail = back(&[start("e1", &ec2)], &identity, 10, Some("s3.amazonaws.com"));
    assert_eq!((trail.links.len(), trail.end.code), (1, EndCode::Service));
    assert!(trail.end.hints.iter().any(|hint| hint.contains("i-0abc")), "{trail:?}");
    // What someone else opened in the same second, with an id, fits as well.
    let all = [start("e1", &ec2), assumed("e2", 0, "A", "ASIA2", &user("mallory"))];
    assert_eq!(back(&all, &identity, 10, Some("s3.amazonaws.com")).end.code, EndCode::Ambiguous);
}

#[test]
fn of_two_copies_that_give_out_one_key_the_one_that_names_the_caller_is_followed() {
    let opaque = Identity {
        principal: Some("acct:111122223333/AIDAALICE".to_owned()),
        principal_type: Some("AWSAccount".to_owned()),
        ..Identity::default()
    };
    let all = [assumed("e1", 0, "A", "ASIA1", &opaque), assumed("e2", 0, "A", "ASIA1", &user("alice"))];
    assert_eq!(walked(&all, &role("A", "ASIA1", Some(0)), 10).0, [(Proof::AccessKey, "e2".to_owned())]);
}

#[test]
fn a_chain_of_too_many_links_says_so_and_how_it_goes_on() {
    let name = |number: usize| format!("R{number}");
    let session = |number: usize| role(&name(number), &format!("ASIA{number}"), Some(0));
    let all: Vec<SessionStart> = (0..=LINKS_MAX)
        .map(|number| assumed(&format!("e{number}"), 0, &name(number), &format!("ASIA{number}"), &session(number + 1)))
        .collect();
    let trail = back(&all, &session(0), 10, None);
    assert_eq!((trail.links.len(), trail.end.code), (LINKS_MAX, EndCode::TooLong));
    assert!(trail.end.hints[0].contains(&format!("ASIA{LINKS_MAX}")), "{:?}", trail.end);
}

#[test]
fn a_users_own_key_opens_no_session_that_another_key_of_theirs_opened() {
    let token = SessionStart {
        event_name: "GetSessionToken".to_owned(),
        session_id: Some("AIDAalice".to_owned()),
        ..assumed("e1", 0, "-", "ASIA1", &user("alice"))
    };
    assert_eq!(walked(&[token], &user("alice"), 10), (vec![], EndCode::User, user("alice").principal));
}

#[test]
fn links_that_lead_in_a_circle_end() {
    let (one, other) = (role("A", "ASIA1", Some(0)), role("B", "ASIA2", Some(0)));
    let all = [assumed("e1", 0, "A", "ASIA1", &other), assumed("e2", 0, "B", "ASIA2", &one)];
    let (links, end, _) = walked(&all, &one, 10);
    assert_eq!((links.len(), end), (2, EndCode::TooLong));
}

#[test]
fn every_kind_of_caller_is_an_end_that_is_known_or_says_why_not() {
    let of = |principal: &str, kind: &str| Identity {
        principal: Some(principal.to_owned()),
        principal_type: Some(kind.to_owned()),
        session_name: Some("i-0abc".to_owned()),
        ..Identity::default()
    };
    let cases = [
        (of("service:ec2.amazonaws.com", "AWSService"), EndCode::Service, "service:ec2.amazonaws.com"),
        (of("service:ec2-infrastructure", "AssumedRole"), EndCode::Service, "service:ec2-infrastructure"),
        (
            of("arn:aws:iam::1:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS", "AssumedRole"),
            EndCode::Service,
            "service:rds.amazonaws.com",
        ),
        (of("saml:x", "SAMLUser"), EndCode::Federated, "saml:x"),
        (of("web:x", "WebIdentityUser"), EndCode::Federated, "web:x"),
        (of("arn:aws:iam::1:root", "Root"), EndCode::Root, "arn:aws:iam::1:root"),
        // A temporary key of root may be another's, by AssumeRoot.
        (
            Identity { access_key_id: Some("ASIAROOT".to_owned()), ..of("arn:aws:iam::1:root", "Root") },
            EndCode::NoSessionStart,
            "arn:aws:iam::1:root",
        ),
        (
            of("arn:aws:sts::1:federated-user/f|arn:aws:iam::1:user/u", "FederatedUser"),
            EndCode::User,
            "arn:aws:iam::1:user/u",
        ),
        (of("arn:aws:iam::1:role/R", "AssumedRole"), EndCode::NoSessionStart, "arn:aws:iam::1:role/R"),
    ];
    for (identity, code, who) in cases {
        let (links, end, principal) = walked(&[], &identity, 10);
        assert_eq!((links.len(), end, principal.as_deref()), (0, code, Some(who)), "{identity:?}");
    }
    assert_eq!(walked(&[], &Identity::default(), 10).1, EndCode::NoIdentity);
}
