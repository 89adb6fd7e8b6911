//! What became of the state at the last reload, variable by variable.

use super::names;
use crate::abi::{cr_entry_kind, cr_state_entry, cr_state_report};
use core::cell::OnceCell;
use core::ffi::{CStr, c_char};
use core::ptr::null;

/// A text in the arena of its report; 0 is the empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Text(u32);

/// Why: most reasons are the same for many variables.
#[derive(Debug, Clone, Copy)]
enum Reason {
    Fixed(&'static CStr),
    Own(Text),
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    kind: cr_entry_kind,
    symbol: Text,
    old_size: u64,
    new_size: u64,
    reason: Reason,
}

/// The fate of each variable. All its texts lie in one piece of memory: there may be many thousands.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Each text ends in a zero; the first one is empty.
    texts: Vec<u8>,
    entries: Vec<Entry>,
    pub(super) by_variable: bool,
    pub(super) old_version: u32,
    pub(super) new_version: u32,
    /// The form for C, made when somebody asks for it.
    shown: OnceCell<Shown>,
}

impl Report {
    pub(super) fn new(old_version: u32, new_version: u32, by_variable: bool) -> Report {
        Report { texts: vec![0], old_version, new_version, by_variable, ..Report::default() }
    }

    fn text(&mut self, text: &str) -> Text {
        let start = self.texts.len() as u32;
        self.texts.extend(text.bytes().filter(|byte| *byte != 0));
        self.texts.push(0);
        Text(start)
    }

    pub(super) fn add(&mut self, kind: cr_entry_kind, symbol: &str, sizes: (u64, u64), reason: &'static CStr) {
        let symbol = self.text(symbol);
        self.entries.push(Entry { kind, symbol, old_size: sizes.0, new_size: sizes.1, reason: Reason::Fixed(reason) });
    }

    pub(super) fn explain(&mut self, kind: cr_entry_kind, symbol: &str, sizes: (u64, u64), reason: &str) {
        let (symbol, reason) = (self.text(symbol), self.text(reason));
        self.entries.push(Entry { kind, symbol, old_size: sizes.0, new_size: sizes.1, reason: Reason::Own(reason) });
    }

    fn get(&self, text: Text) -> &CStr {
        let rest = self.texts.get(text.0 as usize..).unwrap_or_default();
        CStr::from_bytes_until_nul(rest).unwrap_or_default()
    }

    fn reason(&self, entry: &Entry) -> &CStr {
        match entry.reason {
            Reason::Fixed(text) => text,
            Reason::Own(text) => self.get(text),
        }
    }

    /// One line for each entry, as the log has it.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.entries.iter().map(|entry| {
            let symbol = self.get(entry.symbol).to_string_lossy();
            let (what, name) = (word(entry.kind), names::readable(&symbol));
            let reason = self.reason(entry).to_string_lossy();
            let sizes = match (entry.old_size, entry.new_size) {
                (old, new) if old == new => format!("{old} bytes"),
                (old, 0) => format!("{old} bytes"),
                (0, new) => format!("{new} bytes"),
                (old, new) => format!("{old} bytes, now {new}"),
            };
            let separator = if reason.is_empty() { "" } else { ": " };
            format!("state: {name} ({sizes}) {what}{separator}{reason}")
        })
    }

    /// The same for C; valid as long as this report is.
    pub(crate) fn shown(&self) -> &cr_state_report {
        &self.shown.get_or_init(|| self.show()).report
    }

    fn show(&self) -> Shown {
        // The readable names, one after another; the pointers are taken when they are all there.
        let mut names = vec![];
        let mut starts = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let symbol = self.get(entry.symbol).to_string_lossy();
            starts.push(names.len());
            names.extend(names::readable(&symbol).bytes().filter(|byte| *byte != 0));
            names.push(0_u8);
        }
        let entry = |(entry, start): (&Entry, &usize)| cr_state_entry {
            kind: entry.kind as u32,
            name: names.get(*start..).map_or(null(), |name| name.as_ptr().cast::<c_char>()),
            symbol: self.get(entry.symbol).as_ptr(),
            reason: self.reason(entry).as_ptr(),
            old_size: entry.old_size as usize,
            new_size: entry.new_size as usize,
        };
        let entries: Vec<cr_state_entry> = self.entries.iter().zip(&starts).map(entry).collect();
        let report = cr_state_report {
            size: size_of::<cr_state_report>(),
            old_version: self.old_version,
            new_version: self.new_version,
            by_variable: self.by_variable,
            count: entries.len(),
            entries: if entries.is_empty() { null() } else { entries.as_ptr() },
        };
        Shown { report, _entries: entries, _names: names }
    }
}

/// What C code looks at, and what it points to.
#[derive(Debug)]
struct Shown {
    report: cr_state_report,
    _entries: Vec<cr_state_entry>,
    _names: Vec<u8>,
}

fn word(kind: cr_entry_kind) -> &'static str {
    match kind {
        cr_entry_kind::CR_ENTRY_CARRIED => "is carried",
        cr_entry_kind::CR_ENTRY_CONVERTED => "is converted",
        cr_entry_kind::CR_ENTRY_INITIALISED => "has its initial value",
        cr_entry_kind::CR_ENTRY_DROPPED => "is dropped",
        cr_entry_kind::CR_ENTRY_REDIRECTED => "has pointers that were redirected",
        cr_entry_kind::CR_ENTRY_DANGLING => "has pointers that dangle",
        cr_entry_kind::CR_ENTRY_REFUSED => "does not fit",
    }
}
