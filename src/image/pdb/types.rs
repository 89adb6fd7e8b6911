//! The types of variables, and the scopes in which they are declared.

use super::super::debug::{Asked, Found, Numbers, Unknown, What};
use super::build::Builder;
use super::file::{File, Part};
use super::records::Records;
use super::symbols::Streams;
use pdb2::MachineType;

/// As DWARF's: looks up what is asked for in the PDB that belongs to the image.
pub(in crate::image) fn variables(asked: &Asked<'_>) -> Result<Found, Unknown> {
    in_file(File::of(asked.source)?.ok_or(Unknown::Absent)?, asked)
}

pub(super) fn in_file(mut file: File, asked: &Asked<'_>) -> Result<Found, Unknown> {
    let mut addresses: Vec<u64> = asked.wanted.iter().map(|one| one.address).collect();
    addresses.sort_unstable();
    let is_wanted = |part: &Part| {
        let next = addresses.partition_point(|address| *address < part.start);
        addresses.get(next).is_some_and(|address| *address < part.end)
    };
    let streams = Streams::of(&mut file, &mut { is_wanted })?;
    let records = Records::types(&mut file.pdb)?;
    let builder = Builder::new(&records, file.word());
    let mut found = Found { of: vec![None; asked.wanted.len()], scopes: Vec::new(), ..Found::default() };
    match asked.what {
        What::Types => {
            let known = streams.entries(&file)?.into_iter().filter_map(|entry| Some((entry.address, entry.ty?)));
            let known: Numbers<u32> = known.collect();
            for (one, slot) in asked.wanted.iter().zip(&mut found.of) {
                let ty = known.get(&one.address);
                // One that makes no sense leaves its variables without a type.
                *slot = ty.and_then(|ty| builder.type_of(*ty, &mut found.types, 0).ok());
            }
        }
        What::Scopes => found.scopes = builder.scopes(&streams, &mut file, asked.wanted)?,
    }
    Ok(found)
}

impl File {
    /// How wide a pointer is.
    fn word(&self) -> u64 {
        match self.machine() {
            Some(MachineType::X86 | MachineType::Arm | MachineType::ArmNT | MachineType::Thumb) => 4,
            _ => 8,
        }
    }
}
