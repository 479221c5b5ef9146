//! Which of the names that there are was most likely meant by one that there is not.

/// The longest part of a name that is looked at, in characters.
const LONGEST: usize = 64;

/// The one of `known` that `text` was most likely meant to be; none if all of them are
/// too far from it. Case, and `-` for `_`, make no difference.
pub(crate) fn nearest<'k>(text: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    let text = plain(text);
    known
        .map(|word| (strsim::damerau_levenshtein(&text, &plain(word)), word))
        .filter(|(distance, word)| *distance <= word.len().max(text.len()) / 3)
        .min()
        .map(|(_, word)| word.to_owned())
}

/// What to say where none of the backends, which are `known`, is called `name`.
pub(crate) fn no_backend<'k>(name: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    if let Some(nearest) = nearest(name, known.clone()) {
        return format!("there is no backend {name:?}; did you mean {nearest:?}?");
    }
    let known: Vec<_> = known.collect();
    if known.is_empty() {
        return format!("there is no backend {name:?}, nor any other");
    }
    let known = known.join(", ");
    format!("there is no backend {name:?}; there are {known}")
}

fn plain(word: &str) -> String {
    let word: String = word.chars().take(LONGEST).collect();
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_name_is_named_or_else_all() {
        let known = ["github", "GitLab", "my-files"];
        for (name, meant) in [
            ("gihtub", Some("github")),
            ("gitlab", Some("GitLab")),
            ("MY_FILES", Some("my-files")),
            ("linear", None),
        ] {
            assert_eq!(nearest(name, known.into_iter()).as_deref(), meant, "{name}");
        }
        let said = |name| no_backend(name, known.into_iter());
        assert_eq!(
            said("githb"),
            "there is no backend \"githb\"; did you mean \"github\"?"
        );
        assert_eq!(
            said("x"),
            "there is no backend \"x\"; there are github, GitLab, my-files"
        );
        let none = no_backend("x", std::iter::empty());
        assert_eq!(none, "there is no backend \"x\", nor any other");
    }
}
