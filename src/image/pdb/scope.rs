//! Where a variable is declared: in which function and block of the source.

use super::super::debug::{Numbers, Scope, Unknown, Wanted};
use super::build::Builder;
use super::file::File;
use super::records::leaf;
use super::symbols::{Streams, readable};
use pdb2::{FallibleIterator, ModuleInfo, RawString, SymbolData, TypeIndex};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// A function or a block, as far as it has been read.
struct Open<'t> {
    /// None: it is a block.
    function: Option<(RawString<'t>, TypeIndex)>,
    /// What is declared in it.
    declared: Vec<(RawString<'t>, TypeIndex)>,
    /// The variables that are asked for in it: which one, its own name and type, and its place in the order.
    wanted: Vec<(usize, (RawString<'t>, TypeIndex), u64)>,
    /// In it are those of blocks in it, with what is declared there.
    inner: Vec<(usize, Vec<u64>, u64)>,
}

impl Builder<'_, '_> {
    /// The scopes of these variables, as far as they are known.
    pub(super) fn scopes(
        &self,
        streams: &Streams,
        file: &mut File,
        wanted: &[Wanted<'_>],
    ) -> Result<Vec<Option<Scope>>, Unknown> {
        let by_address: Numbers<usize> = wanted.iter().zip(0..).map(|(one, index)| (one.address, index)).collect();
        let mut scopes = vec![None; wanted.len()];
        for (number, module) in &streams.modules {
            let unit = hash(&file.source_of(*number));
            self.scopes_in(module, file, &by_address, &mut |index, (function, block, nth)| {
                if let Some(slot) = scopes.get_mut(index) {
                    *slot = Some(Scope { unit, function, block, nth });
                }
            })?;
        }
        Ok(scopes)
    }

    fn scopes_in(
        &self,
        module: &ModuleInfo<'_>,
        file: &File,
        wanted: &Numbers<usize>,
        note: &mut dyn FnMut(usize, (u64, u64, u64)),
    ) -> Result<(), Unknown> {
        let mut symbols = module.symbols()?;
        let mut open: Vec<Open<'_>> = Vec::new();
        let mut nth = 0;
        while let Some(symbol) = symbols.next()? {
            nth += 1;
            if symbol.ends_scope() {
                if let Some(done) = open.pop() {
                    self.close(done, open.last_mut(), note)?;
                }
                continue;
            }
            let data = symbol.parse().ok();
            if symbol.starts_scope() {
                let function = match &data {
                    Some(SymbolData::Procedure(function)) => Some((function.name, function.type_index)),
                    _ => None,
                };
                open.push(Open { function, declared: Vec::new(), wanted: Vec::new(), inner: Vec::new() });
            }
            let (own, place) = match data {
                Some(SymbolData::Data(data)) => ((data.name, data.type_index), file.address(data.offset)),
                Some(SymbolData::Local(local)) if !local.flags.isparam => ((local.name, local.type_index), None),
                Some(SymbolData::RegisterRelative(local)) => ((local.name, local.type_index), None),
                _ => continue,
            };
            let index = place.and_then(|place| wanted.get(&place)).copied();
            match (open.last_mut(), index) {
                (Some(scope), index) => {
                    scope.declared.push(own);
                    scope.wanted.extend(index.map(|index| (index, own, nth)));
                }
                (None, Some(index)) => note(index, (0, 0, nth)),
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// A function or block has been read to its end.
    fn close(
        &self,
        scope: Open<'_>,
        above: Option<&mut Open<'_>>,
        note: &mut dyn FnMut(usize, (u64, u64, u64)),
    ) -> Result<(), Unknown> {
        let Open { function, declared, wanted, mut inner } = scope;
        let described = |(name, ty): &(RawString<'_>, TypeIndex)| (readable(*name), self.name_of(ty.0));
        let all: Vec<(String, String)> = declared.iter().map(described).collect();
        if let Some((name, ty)) = function {
            let name = readable(name);
            // A function of a lambda is told from others by what is declared in it.
            let lambda = name.contains("<lambda").then(|| hash(&all));
            let function = hash(&(&name, self.parameter_names(ty.0)?));
            for (index, own, nth) in wanted {
                let alone = all.iter().filter(|(name, _)| *name == readable(own.0)).count() == 1;
                note(index, (function, lambda.filter(|_| alone).unwrap_or(0), nth));
            }
            for (index, blocks, nth) in inner {
                note(index, (function, hash(&(blocks, lambda)), nth));
            }
        } else if let Some(above) = above {
            let this = hash(&all);
            inner.iter_mut().for_each(|(_, blocks, _)| blocks.push(this));
            for (index, own, nth) in wanted {
                let alone = all.iter().filter(|(name, _)| *name == readable(own.0)).count() == 1;
                // clang puts the variables of all blocks into that of the function: then the block tells nothing.
                inner.push((index, if alone { vec![hash(&described(&own)), this] } else { Vec::new() }, nth));
            }
            above.inner.extend(inner);
        }
        Ok(())
    }

    /// What the parameters of a function's type are called: overloads have one name.
    fn parameter_names(&self, ty: u32) -> Result<Vec<String>, Unknown> {
        let Some(record) = self.records.get(ty) else { return Ok(Vec::new()) };
        let mut bytes = record.bytes;
        // In front are what it returns, the class and `this` of a member, how it is called, and a count.
        bytes.skip(match record.kind {
            leaf::PROCEDURE => 8,
            leaf::MFUNCTION => 16,
            _ => return Ok(Vec::new()),
        });
        let Some(list) = bytes.u32() else { return Ok(Vec::new()) };
        Ok(self.parameters(list)?.into_iter().map(|ty| self.name_of(ty)).collect())
    }
}

/// The same in each build of the library, and for both images.
fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
