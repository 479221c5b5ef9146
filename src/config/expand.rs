//! Expansion inside one string scalar: `${VAR}`, `${VAR:-default}`,
//! `${cred:NAME}`, `$$` and a leading `~`. It runs after the YAML is parsed, so
//! a value can never change the document's structure.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::environment::{Environment, Missing};

/// Why a scalar cannot be expanded. Neither shows a value.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExpandError {
    /// The reference is not written as it must be: an error of the document.
    #[error("{0}")]
    Syntax(String),
    /// The environment lacks what is referred to.
    #[error(transparent)]
    Missing(#[from] Missing),
}

/// Expands `text`. Borrowed if there was nothing to expand.
///
/// A `$` that starts neither `${` nor `$$` is an ordinary character, so that
/// most passwords stand for themselves.
pub(super) fn expand<'a>(
    text: &'a str,
    environment: &Environment,
) -> Result<Cow<'a, str>, ExpandError> {
    let expanded = dollars(text, environment)?;
    // Decided on the text as written: a `~` that came out of a variable is data.
    if text != "~" && !text.starts_with("~/") {
        return Ok(expanded);
    }
    let home = environment.home()?;
    Ok(Cow::Owned(
        shellexpand::tilde_with_context(&expanded, || Some(home)).into_owned(),
    ))
}

/// The credentials that `text` refers to and that are not there, by name.
pub(super) fn missing_credentials(text: &str, environment: &Environment) -> Vec<String> {
    // "$$" is a dollar, so that "$${cred:x}" refers to nothing.
    let text = text.replace("$$", "");
    let references = text.split("${cred:").skip(1);
    let names = references.filter_map(|rest| rest.split_once('}'));
    names
        .filter(|(name, _)| is_credential_name(name) && environment.credential(name).is_err())
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Whether `text` looks as if its writer took `$NAME` for a variable.
pub(super) fn looks_like_a_bare_variable(text: &str) -> bool {
    text.strip_prefix('$').is_some_and(is_variable_name)
}

fn dollars<'a>(text: &'a str, environment: &Environment) -> Result<Cow<'a, str>, ExpandError> {
    if !text.contains("${") && !text.contains("$$") {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        append(&mut out, &rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            append(&mut out, "$");
            rest = tail;
        } else if let Some(tail) = after.strip_prefix('{') {
            let end = tail.find('}').ok_or_else(|| {
                ExpandError::Syntax(
                    "\"${\" is never closed by \"}\"; write \"$${\" for these two characters"
                        .to_owned(),
                )
            })?;
            reference(&tail[..end], environment, &mut out)?;
            rest = &tail[end + 1..];
        } else {
            append(&mut out, "$");
            rest = after;
        }
    }
    append(&mut out, rest);
    Ok(Cow::Owned(std::mem::take(&mut *out)))
}

/// Appends to what may hold a credential: a buffer that is too small is wiped.
fn append(out: &mut Zeroizing<String>, text: &str) {
    if out.capacity() - out.len() < text.len() {
        let mut larger = Zeroizing::new(String::with_capacity(2 * (out.len() + text.len())));
        larger.push_str(out);
        *out = larger;
    }
    out.push_str(text);
}

/// Appends what stands for `inner`, which is between `${` and `}`.
fn reference(
    inner: &str,
    environment: &Environment,
    out: &mut Zeroizing<String>,
) -> Result<(), ExpandError> {
    if let Some(name) = inner.strip_prefix("cred:") {
        if !is_credential_name(name) {
            return Err(ExpandError::Syntax(format!(
                "{name:?} is no credential's name: it must be a file's name, without \"/\""
            )));
        }
        append(out, environment.credential(name)?.expose());
        return Ok(());
    }
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    if !is_variable_name(name) {
        return Err(ExpandError::Syntax(
            "\"${…}\" must hold VAR, VAR:-default or cred:NAME; write \"$${\" for these two characters"
                .to_owned(),
        ));
    }
    let value = match (environment.variable(name), default) {
        // As in a shell, `:-` also replaces what is empty.
        (Ok("") | Err(Missing::Variable(_)), Some(default)) => default,
        (value, _) => value?,
    };
    append(out, value);
    Ok(())
}

/// Whether it is one component of a path.
fn is_credential_name(name: &str) -> bool {
    !name.contains(['/', '\0']) && !matches!(name, "" | "." | "..")
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::{Environment, ExpandError, expand, missing_credentials};

    fn environment() -> Environment {
        [
            ("NAME", "value"),
            ("EMPTY", ""),
            ("HOME", "/home/me"),
            ("TILDE", "~"),
            ("REF", "${NAME}"),
        ]
        .into_iter()
        .collect()
    }

    #[track_caller]
    fn gives(text: &str, expected: &str) {
        let environment = environment();
        match expand(text, &environment) {
            Ok(actual) => assert_eq!(actual, expected, "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }

    #[track_caller]
    fn fails(text: &str) -> String {
        match expand(text, &environment()) {
            Err(error) => error.to_string(),
            Ok(value) => panic!("{text} gave {value}"),
        }
    }

    #[test]
    fn references_are_replaced_and_everything_else_stays() {
        gives("a ${NAME} b", "a value b");
        gives("${NAME}${NAME}", "valuevalue");
        gives("${UNSET:-d}", "d");
        gives("${EMPTY:-d}", "d");
        gives("${EMPTY}", "");
        gives("${UNSET:-}", "");
        gives("$$", "$");
        gives("$${NAME}", "${NAME}");
        gives("pa$word$", "pa$word$");
        gives("$NAME", "$NAME");
        gives("é${NAME}é", "évalueé");
    }

    #[test]
    fn what_a_reference_gives_is_not_expanded_again() {
        gives("${REF}", "${NAME}");
        gives("${TILDE}/x", "~/x");
    }

    #[test]
    fn a_leading_tilde_is_the_home_directory() {
        gives("~", "/home/me");
        gives("~/x", "/home/me/x");
        gives("~/${NAME}", "/home/me/value");
        gives("a~", "a~");
        gives("~user/x", "~user/x");
        assert!(expand("~", &Environment::default()).is_err());
    }

    #[test]
    fn a_missing_variable_is_named() {
        assert_eq!(fails("${UNSET}"), "environment variable UNSET is not set");
    }

    #[test]
    fn a_malformed_reference_is_an_error_of_the_document() {
        for text in [
            "${",
            "${NAME",
            "${}",
            "${a b}",
            "${1}",
            "${NAME-x}",
            "${cred:}",
            "${cred:../x}",
            "${cred:..}",
        ] {
            assert!(
                matches!(expand(text, &environment()), Err(ExpandError::Syntax(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn a_credential_is_read_without_its_trailing_newline() -> std::io::Result<()> {
        let directory = tempfile::tempdir()?;
        std::fs::write(directory.path().join("token"), "s3cret\n")?;
        let environment: Environment = [("CREDENTIALS_DIRECTORY", directory.path())]
            .into_iter()
            .collect();
        assert!(expand("Bearer ${cred:token}", &environment).is_ok_and(|v| v == "Bearer s3cret"));
        let missing = expand("${cred:other}", &environment)
            .err()
            .map(|error| error.to_string());
        assert!(missing.is_some_and(|message| message.contains("\"other\"")));
        let text = "${cred:one} ${cred:token} $${cred:no} $$${cred:two} ${UNSET}";
        assert_eq!(missing_credentials(text, &environment), ["one", "two"]);
        assert!(fails("${cred:token}").contains("CREDENTIALS_DIRECTORY"));
        Ok(())
    }
}
