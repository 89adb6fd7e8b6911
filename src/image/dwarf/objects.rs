//! Object files of macOS, in which debug information stays until `dsymutil` collects it.
//!
//! The symbol table of the image names them, and what it has of each: rows that are called "stabs" (`mach-o/stab.h`).

use super::super::debug::{Asked, Found, Hints, Numbers, Unknown, Wanted, What};
use super::files::{self, Sections};
use super::units::Builder;
use goblin::mach::symbols::{N_GSYM, N_OSO, N_STSYM};
use object::macho::MachHeader64;
use object::read::macho::{MachHeader, Nlist};
use object::{File, LittleEndian, Object, ObjectSymbol};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// An object file.
struct Part<'a> {
    path: PathBuf,
    /// In seconds since 1970.
    written: u64,
    /// The wanted variables that it has, and their names there.
    variables: Vec<(usize, &'a [u8])>,
}

pub(super) fn variables(asked: &Asked<'_>) -> Result<Found, Unknown> {
    let parts = parts(asked.source.bytes, asked.wanted).ok().flatten().unwrap_or_default();
    if parts.is_empty() {
        return Err(Unknown::Absent);
    }
    let open = vec![None; asked.wanted.len()];
    let mut found = Found { of: open, scopes: vec![None; asked.wanted.len()], ..Found::default() };
    for part in parts.iter().filter(|part| !part.variables.is_empty()) {
        // One that is missing or damaged leaves its variables without a type.
        if !part.read(asked, &mut found).is_ok_and(|is_there| is_there) {
            found.damage.get_or_insert(format!("{} is missing, damaged or of another build", part.path.display()));
        }
    }
    super::share(asked.wanted, &mut found.of);
    Ok(found)
}

/// The object files that the image was made of. None: it has no symbols.
fn parts<'a>(bytes: &'a [u8], wanted: &[Wanted<'_>]) -> Result<Option<Vec<Part<'a>>>, object::Error> {
    let header = MachHeader64::<LittleEndian>::parse(bytes, 0)?;
    let endian = header.endian()?;
    let mut commands = header.load_commands(endian, bytes, 0)?;
    let mut table = None;
    while let Some(command) = commands.next()? {
        table = table.or(command.symtab()?);
    }
    let Some(table) = table else { return Ok(None) };
    let table = table.symbols::<MachHeader64<LittleEndian>, _>(endian, bytes)?;
    let by_address: Numbers<usize> = wanted.iter().map(|one| one.address).zip(0..).collect();
    let by_name: HashMap<&[u8], usize> = wanted.iter().map(|one| one.symbol.as_bytes()).zip(0..).collect();
    let mut parts: Vec<Part<'a>> = Vec::new();
    for row in table.iter() {
        let name = row.name(endian, table.strings())?;
        let variable = match row.n_type().0 {
            // An object file, and when it was written.
            N_OSO => {
                let path = PathBuf::from(String::from_utf8_lossy(name).into_owned());
                parts.push(Part { path, written: row.n_value(endian), variables: Vec::new() });
                continue;
            }
            // A static variable, and where it is.
            N_STSYM => by_address.get(&row.n_value(endian)),
            // Another one.
            N_GSYM => name.strip_prefix(b"_").and_then(|name| by_name.get(name)),
            _ => continue,
        };
        if let (Some(variable), Some(part)) = (variable, parts.last_mut()) {
            part.variables.push((*variable, name));
        }
    }
    Ok(Some(parts))
}

impl Part<'_> {
    /// False: it is not there as it was.
    fn read(&self, asked: &Asked<'_>, found: &mut Found) -> Result<bool, Unknown> {
        let written = std::fs::metadata(&self.path).and_then(|file| file.modified());
        let written = written.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        // A compiler that leaves the time out makes files that nobody can tell apart.
        if written.is_none_or(|time| time.as_secs() != self.written) {
            return Ok(false);
        }
        let Some(bytes) = files::map(&self.path) else { return Ok(false) };
        let file = File::parse(&bytes[..])?;
        let Some(sections) = Sections::of_object(&file)? else { return Ok(true) };
        let defined = file.symbols().filter(|symbol| symbol.is_definition());
        let places: HashMap<&[u8], u64> =
            defined.filter_map(|symbol| Some((symbol.name_bytes().ok()?, symbol.address()))).collect();
        // Where the variables are in this file; the others are nowhere.
        let mut moved = asked.wanted.to_vec();
        moved.iter_mut().for_each(|one| one.address = u64::MAX);
        for (index, name) in &self.variables {
            if let (Some(one), Some(address)) = (moved.get_mut(*index), places.get(name)) {
                one.address = *address;
            }
        }
        let dwarf = sections.dwarf();
        let builder = Builder::new(&dwarf);
        let (places, _) = builder.places(&moved, &Hints::default(), &mut Vec::new())?;
        super::answer(&builder, &places, &Asked { wanted: &moved, ..*asked }, found);
        if asked.what == What::Types {
            let own = self.variables.iter().filter(|(index, _)| found.of.get(*index) == Some(&None));
            let open = own.filter_map(|(index, _)| Some((moved.get(*index)?.address, *index))).collect();
            builder.other_forms(&open, asked.wanted, found);
        }
        Ok(true)
    }
}
