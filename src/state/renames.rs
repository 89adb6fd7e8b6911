//! `CR_STATE_RENAMED`: what the source says about names that have changed.

use super::matching::Rename;

/// The records: the new name and the old one, each with a zero behind it, and zeros in between.
pub(super) fn parse(bytes: &[u8]) -> Vec<Rename<'_>> {
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    let texts: Vec<&str> = words.filter_map(|word| std::str::from_utf8(word).ok()).collect();
    texts.as_chunks().0.iter().map(|[new, old]| Rename { new, old }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_pairs_of_words() {
        let pairs = |bytes| parse(bytes).iter().map(|rename| (rename.new, rename.old)).collect::<Vec<_>>();
        assert_eq!(pairs(b"new\0old\0\0\0\0a::b\0c\0"), [("new", "old"), ("a::b", "c")]);
        assert_eq!(pairs(b"\0\0new\0old"), [("new", "old")]);
        assert!(pairs(b"alone\0").is_empty());
        assert!(pairs(b"").is_empty());
    }
}
