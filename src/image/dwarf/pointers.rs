//! What is known of the types of pointers: to what they point, by name, and what a pointer to a member depends on.

use super::super::debug::Unknown;
use super::Entry;
use super::units::{Builder, Handle};
use gimli::{AttributeValue, constants as c};
use std::hash::{DefaultHasher, Hash, Hasher};

impl<'a> Builder<'a, '_> {
    /// A name for a pointer or reference: that of what it points to, and a star. Empty if that has none.
    pub(super) fn pointer_name(&self, unit: &Handle<'a>, entry: &Entry<'a>) -> Result<String, Unknown> {
        let mark = |entry: &Entry<'a>| if entry.tag() == c::DW_TAG_pointer_type { " *" } else { " &" };
        let mut marks = vec![mark(entry)];
        let mut reference = entry.attr_value(c::DW_AT_type);
        let mut unit = unit.clone();
        // Through other pointers, and the names and qualifiers that a type has been given.
        for _ in 0..8 {
            let Some(next) = reference else { return Ok(format!("void{}", marks.concat())) };
            let (other, at) = self.referred(&unit, next)?;
            let target = other.entry(at)?;
            reference = target.attr_value(c::DW_AT_type);
            let name = self.text(&other, &target, c::DW_AT_name);
            match target.tag() {
                c::DW_TAG_const_type | c::DW_TAG_volatile_type => {}
                c::DW_TAG_typedef if reference.is_some() => {}
                // Rust gives them names.
                c::DW_TAG_pointer_type | c::DW_TAG_reference_type if name.is_empty() => marks.insert(0, mark(&target)),
                _ => return Ok(if name.is_empty() { name } else { format!("{name}{}", marks.concat()) }),
            }
            unit = other;
        }
        Ok(String::new())
    }

    /// What the numbers of pointers to members of a class depend on: the places of its fields, or of its virtual
    /// functions.
    pub(super) fn class_layout(&self, unit: &Handle<'a>, pointer: &Entry<'a>) -> Result<u64, Unknown> {
        let functions = match pointer.attr_value(c::DW_AT_type) {
            Some(ty) => {
                let (unit, at) = self.referred(unit, ty)?;
                unit.entry(at)?.tag() == c::DW_TAG_subroutine_type
            }
            None => false,
        };
        let Some(class) = pointer.attr_value(c::DW_AT_containing_type) else { return Ok(0) };
        let (mut unit, at) = self.referred(unit, class)?;
        let mut class = unit.entry(at)?;
        if class.attr(c::DW_AT_declaration).is_some() {
            let Some((other, at)) = self.definition(&unit, &class)? else { return Ok(0) };
            class = other.entry(at)?;
            unit = other;
        }
        let mut hasher = DefaultHasher::new();
        self.children(&unit, class.offset(), &mut |child, level| {
            let place = match child.tag() {
                c::DW_TAG_member if !functions => c::DW_AT_data_member_location,
                c::DW_TAG_inheritance => c::DW_AT_data_member_location,
                c::DW_TAG_subprogram if functions => c::DW_AT_vtable_elem_location,
                _ => return Ok(()),
            };
            if level == 1
                && let Some(place) = child.attr_value(place)
            {
                let number = match place {
                    AttributeValue::Exprloc(expression) => format!("{:?}", expression.0.slice()),
                    other => format!("{:?}", other.udata_value()),
                };
                (self.text(&unit, child, c::DW_AT_name), number).hash(&mut hasher);
            }
            Ok(())
        })?;
        Ok(hasher.finish())
    }
}
