//! The function at an address of an image, and the line of its source, as the frames of a crash want to know them.

use super::super::{Line, Source};
use super::file::File;
use super::records::{Records, leaf};
use super::symbols::readable;
use core::cell::OnceCell;
use pdb2::{
    FallibleIterator, FileIndex, InlineSiteSymbol, LineInfo, LineProgram, ModuleInfo, ProcedureSymbol, RawString,
    StringTable, SymbolData,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Lines that stand for code without a source: for "do not step into" and "always step over".
const NO_LINES: [u32; 2] = [0x00f0_0f00, 0x00fe_efee];

/// The PDB of an image, open, to be asked for lines.
pub(crate) struct Lines {
    file: File,
    /// Of source files.
    paths: Option<StringTable<'static>>,
    /// Of inlined functions. They may be many, and are read only if there is one.
    names: OnceCell<Option<Names>>,
}

impl Lines {
    /// None: the image has no PDB.
    pub(crate) fn of(source: Source<'_>) -> Option<Lines> {
        // A panic would be a bug of the parser, here and below; there are other frames.
        let open = || {
            let mut file = File::of(source).ok()??;
            let paths = file.pdb.string_table().ok();
            Some(Lines { file, paths, names: OnceCell::new() })
        };
        catch_unwind(AssertUnwindSafe(open)).ok()?
    }

    /// What is at an address of the image: inlined functions, the innermost first, then the function itself. Nothing, if
    /// the PDB says nothing of it.
    pub(crate) fn at(&mut self, address: u64) -> Vec<Line> {
        catch_unwind(AssertUnwindSafe(|| self.find(address))).ok().flatten().unwrap_or_default()
    }

    fn find(&mut self, address: u64) -> Option<Vec<Line>> {
        let part = *self.file.parts.get(self.file.part(address)?)?;
        let (_, module) = self.file.modules(&[part.module]).ok()?.pop()?;
        let (function, sites) = function_at(&self.file, &module, address)?;
        let program = module.line_program().ok();
        let line = |function: Option<String>, info: Option<LineInfo>| {
            let info = info.filter(|info| !NO_LINES.contains(&info.line_start));
            let path = |info: &LineInfo| path(program.as_ref()?, self.paths.as_ref()?, info.file_index);
            Line { function, file: info.as_ref().and_then(path), line: info.map_or(0, |info| info.line_start) }
        };
        let own = program.as_ref().map(|program| program.lines_for_symbol(function.offset));
        let own = own.and_then(|lines| info_at(&self.file, lines, address));
        let mut lines = vec![line(Some(readable(function.name)), own)];
        let inlinees: Vec<_> = module.inlinees().and_then(|inlinees| inlinees.collect()).unwrap_or_default();
        // From the outermost inwards. Those without a line at this address are inlined elsewhere in the function.
        for site in &sites {
            let inlinee = inlinees.iter().find(|inlinee| inlinee.index() == site.inlinee);
            let info = inlinee.and_then(|inlinee| info_at(&self.file, inlinee.lines(function.offset, site), address));
            let Some(info) = info else { continue };
            let names = self.names.get_or_init(|| Names::of(&mut self.file)).as_ref();
            lines.push(line(names.and_then(|names| names.find(site.inlinee.0)), Some(info)));
        }
        lines.reverse();
        Some(lines)
    }
}

/// The function that an address is in, and what is inlined in it, in the order of its scopes.
fn function_at<'m>(
    file: &File,
    module: &'m ModuleInfo<'static>,
    address: u64,
) -> Option<(ProcedureSymbol<'m>, Vec<InlineSiteSymbol<'m>>)> {
    let mut symbols = module.symbols().ok()?;
    let mut found = None;
    let mut sites = Vec::new();
    while let Some(symbol) = symbols.next().ok()? {
        match symbol.parse() {
            Ok(SymbolData::Procedure(_)) if found.is_some() => break,
            Ok(SymbolData::Procedure(function)) => {
                let start = file.address(function.offset);
                let is_in = |start: u64| (start..start.saturating_add(function.len.into())).contains(&address);
                found = Some(function).filter(|_| start.is_some_and(is_in));
            }
            Ok(SymbolData::InlineSite(site)) if found.is_some() => sites.push(site),
            _ => {}
        }
    }
    Some((found?, sites))
}

/// The last line that begins at an address or before it, if it reaches as far.
fn info_at(
    file: &File,
    lines: impl FallibleIterator<Item = LineInfo, Error = pdb2::Error>,
    address: u64,
) -> Option<LineInfo> {
    let begun = lines.filter_map(|info| Ok(file.address(info.offset).filter(|at| *at <= address).map(|at| (at, info))));
    // They are in no order. Of those in front of a damaged one nothing is lost.
    let (start, info) = begun.iterator().map_while(Result::ok).max_by_key(|(start, _)| *start)?;
    info.length.is_none_or(|length| address - start < u64::from(length)).then_some(info)
}

/// The path of a source file, as the compiler has written it.
fn path(program: &LineProgram<'_>, strings: &StringTable<'_>, index: FileIndex) -> Option<String> {
    let name = program.get_file_info(index).ok()?.name;
    Some(strings.get(name).ok()?.to_string().into_owned())
}

/// What inlined functions are called.
struct Names {
    /// The functions, and the types that they are members of.
    ids: Records<'static>,
    types: Records<'static>,
}

impl Names {
    fn of(file: &mut File) -> Option<Names> {
        Some(Names { ids: Records::ids(&mut file.pdb).ok()?, types: Records::types(&mut file.pdb).ok()? })
    }

    /// With the names of its namespace or class, like those of other functions.
    fn find(&self, id: u32) -> Option<String> {
        let record = self.ids.get(id)?;
        let mut bytes = record.bytes;
        let (scope, _type) = (bytes.u32()?, bytes.u32()?);
        let scope = match record.kind {
            leaf::FUNC_ID if scope == 0 => None,
            leaf::FUNC_ID => {
                let mut scope = self.ids.get(scope).filter(|scope| scope.kind == leaf::STRING_ID)?.bytes;
                scope.skip(4)?; // parts of it, if it is long
                Some(scope.text()?)
            }
            leaf::MFUNC_ID => Some(self.types.get(scope)?.named()?.name),
            _ => return None,
        };
        let name = bytes.text()?;
        let text = scope.map_or(name.to_vec(), |scope| [scope, b"::", name].concat());
        Some(readable(RawString::from(&*text)))
    }
}
