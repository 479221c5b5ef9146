//! From `access`, and what is said of tools, as it is written to a policy that can be
//! used.

use super::{
    Pattern, document,
    error::Problem,
    rules::{Rule, Rules},
    settings::{Assignment, Door, Pin, PolicySettings, ToolSettings},
};
use crate::nearest::nearest;

/// The most roles: each may have lists of its own.
const MAX_ROLES: usize = 256;

/// The policy that `access` says, or all that is wrong with it.
pub(super) fn of(access: &mut document::Access) -> Result<PolicySettings, Vec<Problem>> {
    let policy = read(access).map_err(|what| vec![Problem::of_file("access", what)])?;
    let problems = unusable(&policy);
    if problems.is_empty() {
        Ok(policy)
    } else {
        Err(problems)
    }
}

/// Which of a backend's tools are offered, and how.
pub(super) fn tools(tools: document::Tools, read_only: bool) -> ToolSettings {
    let patterns = |list: Vec<String>| list.iter().map(|text| Pattern::new(text)).collect();
    ToolSettings {
        allow: patterns(tools.allow),
        deny: patterns(tools.deny),
        read_only,
        rename: tools.rename,
        describe: tools.describe,
    }
}

/// What is done about a tool that is not as it was first seen.
pub(super) fn pin(pin: document::Pin) -> Pin {
    match pin {
        document::Pin::Warn => Pin::Warn,
        document::Pin::Block => Pin::Block,
        document::Pin::Off => Pin::Off,
    }
}

// The validation has let through what is read here.

fn read(access: &mut document::Access) -> Result<PolicySettings, String> {
    let parse = |list: Vec<String>| {
        let rules = list.iter().map(|text| Rule::parse(text));
        rules.collect::<Result<Vec<_>, _>>()
    };
    let roles = std::mem::take(&mut access.roles)
        .into_iter()
        .map(|(name, role)| {
            let role = Rules {
                allow: parse(role.allow)?,
                deny: parse(role.deny)?,
            };
            Ok((name, role))
        });
    let assign = std::mem::take(&mut access.assign)
        .into_iter()
        .map(|assignment| {
            Ok(Assignment {
                role: assignment.role,
                user: assignment.user,
                claim: assignment.claim,
                socket: assignment
                    .socket
                    .map(|text| Door::parse(&text))
                    .transpose()?,
            })
        });
    Ok(PolicySettings {
        roles: roles.collect::<Result<_, String>>()?,
        default_role: access.default_role.take(),
        assign: assign.collect::<Result<_, String>>()?,
    })
}

/// Roles that are given to somebody and that there are not, and whatever else of a
/// policy would not be what it seems.
fn unusable(policy: &PolicySettings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut given = vec![(
        "access.default_role".to_owned(),
        policy.default_role.as_ref(),
    )];
    for (index, assignment) in policy.assign.iter().enumerate() {
        let key = format!("access.assign[{index}]");
        let says = assignment.user.is_some() || assignment.socket.is_some();
        if !says && assignment.claim.is_empty() {
            let what = "says of nobody that they have the role: give user, claim or socket";
            problems.push(Problem::of_file(&key, what));
        }
        given.push((format!("{key}.role"), Some(&assignment.role)));
    }
    for (key, role) in given {
        if let Some(role) = role.filter(|role| !policy.roles.contains_key(*role)) {
            let what = format!("there is no role {role:?} in access.roles");
            let known = policy.roles.keys().map(String::as_str);
            problems.push(Problem::of_file(&key, what).suggesting(nearest(role, known)));
        }
    }
    if policy.roles.contains_key("") {
        problems.push(Problem::of_file("access.roles", "a role has a name"));
    }
    if policy.roles.len() > MAX_ROLES {
        let what = format!("there may be {MAX_ROLES} roles at most");
        problems.push(Problem::of_file("access.roles", what));
    }
    problems
}
