//! One step, by the unwind information of the images.

use crate::crash::symbols::{Image, Images};
use crate::guard::{Registers, Saved};
use crate::image::Region;
use core::ops::Range;
use framehop::{
    CacheNative, FrameAddress, MayAllocateDuringUnwind, Module, ModuleSectionInfo, UnwindRegsNative, Unwinder as _,
    UnwinderNative,
};

/// What is known of the images on the way so far.
pub(in crate::crash) struct Unwinder<'a> {
    images: &'a Images,
    unwinder: UnwinderNative<&'a [u8], MayAllocateDuringUnwind>,
    cache: CacheNative<MayAllocateDuringUnwind>,
    /// The bases of the images that it has.
    known: Vec<usize>,
}

impl<'a> Unwinder<'a> {
    pub(super) fn new(images: &'a Images) -> Self {
        Unwinder { images, unwinder: UnwinderNative::new(), cache: CacheNative::new(), known: Vec::new() }
    }

    /// The registers of the function that has called the one which these are in. `faulted`: at the instruction itself,
    /// which may be anywhere in the function; otherwise behind a call.
    pub(super) fn caller(&mut self, registers: &Registers, faulted: bool, saved: &Saved) -> Option<Registers> {
        let place = if faulted {
            FrameAddress::from_instruction_pointer(registers.instruction as u64)
        } else {
            FrameAddress::from_return_address(registers.instruction as u64)?
        };
        let image = self.images.find(place.address_for_lookup() as usize)?;
        if !self.known.contains(&image.base()) {
            self.known.push(image.base());
            self.unwinder.add_module(module(image));
        }
        let mut native = to_native(registers);
        let mut read = |address: u64| saved.word(address as usize).map(|word| word as u64).ok_or(());
        let address = self.unwinder.unwind_frame(place, &mut native, &mut self.cache, &mut read).ok()??;
        Some(from_native(address, &native, registers))
    }
}

fn module(image: &Image) -> Module<&[u8]> {
    let extent = image.extent();
    let name = image.path().display().to_string();
    // Mach-O counts from its header, which is not at 0 in a program; the others from what is added to their addresses.
    let from = if cfg!(target_vendor = "apple") { extent.start } else { image.base() };
    let sections = Sections { regions: image.regions(), from: from.wrapping_sub(image.base()) as u64 };
    Module::new(name, extent.start as u64..extent.end as u64, from as u64, sections)
}

struct Sections<'a> {
    regions: Vec<Region<'a>>,
    /// The address in the file that is counted from.
    from: u64,
}

impl<'a> Sections<'a> {
    fn find(&self, name: &[u8]) -> Option<&Region<'a>> {
        // That of Mach-O has the segment's name in front.
        let is_called = |region: &&Region<'_>| region.name.rsplit(',').next().is_some_and(|own| own.as_bytes() == name);
        self.regions.iter().find(is_called)
    }
}

impl<'a> ModuleSectionInfo<&'a [u8]> for Sections<'a> {
    fn base_svma(&self) -> u64 {
        self.from
    }

    fn section_svma_range(&mut self, name: &[u8]) -> Option<Range<u64>> {
        self.find(name).map(|region| region.address..region.address.wrapping_add(region.size))
    }

    fn section_data(&mut self, name: &[u8]) -> Option<&'a [u8]> {
        self.find(name).map(|region| region.bytes)
    }
}

#[cfg(target_arch = "x86_64")]
mod arch {
    use super::{Registers, Saved, UnwindRegsNative};
    use framehop::x86_64::Reg;

    /// The registers that functions keep, by the numbers of the unwind information of Windows.
    const KEPT: [(Reg, usize); 8] = [
        (Reg::RBX, 3),
        (Reg::RSI, 6),
        (Reg::RDI, 7),
        (Reg::R12, 12),
        (Reg::R13, 13),
        (Reg::R14, 14),
        (Reg::R15, 15),
        (Reg::RAX, 0),
    ];

    pub(super) fn to_native(registers: &Registers) -> UnwindRegsNative {
        let [instruction, stack, frame] =
            [registers.instruction, registers.stack, registers.frame].map(|register| register as u64);
        let mut native = UnwindRegsNative::new(instruction, stack, frame);
        for (register, number) in KEPT {
            native.set(register, registers.numbered.get(number).map_or(0, |value| *value as u64));
        }
        native
    }

    pub(super) fn from_native(address: u64, native: &UnwindRegsNative, _before: &Registers) -> Registers {
        let mut registers = Registers {
            instruction: address as usize,
            stack: native.sp() as usize,
            frame: native.bp() as usize,
            ..Registers::default()
        };
        for (register, number) in KEPT {
            if let Some(slot) = registers.numbered.get_mut(number) {
                *slot = native.get(register) as usize;
            }
        }
        registers
    }

    /// The caller of a function that is none: its return address is on top of the stack.
    pub(in crate::crash::unwind) fn caller_of_lost(registers: &Registers, saved: &Saved) -> Option<Registers> {
        let instruction = saved.word(registers.stack)?;
        Some(Registers { instruction, stack: registers.stack.wrapping_add(8), ..*registers })
    }

    /// The registers of a caller, if its return address is here. The function that it has called has most likely saved
    /// the frame pointer first of all.
    pub(in crate::crash::unwind) fn returned_at(place: usize, saved: &Saved) -> Option<Registers> {
        let instruction = saved.word(place)?;
        let frame = saved.word(place.wrapping_sub(8)).unwrap_or(0);
        Some(Registers { instruction, stack: place.wrapping_add(8), frame, ..Registers::default() })
    }
}

#[cfg(target_arch = "aarch64")]
mod arch {
    use super::{Registers, Saved, UnwindRegsNative};
    use framehop::aarch64::PtrAuthMask;

    /// Return addresses may be signed in the bits that addresses of programs do not have.
    const ADDRESS: usize = (1 << 48) - 1;

    pub(super) fn to_native(registers: &Registers) -> UnwindRegsNative {
        let mask = PtrAuthMask(ADDRESS as u64);
        let [link, stack, frame] = [registers.link, registers.stack, registers.frame].map(|register| register as u64);
        UnwindRegsNative::new_with_ptr_auth_mask(mask, link, stack, frame)
    }

    pub(super) fn from_native(address: u64, native: &UnwindRegsNative, _before: &Registers) -> Registers {
        Registers {
            instruction: address as usize & ADDRESS,
            stack: native.sp() as usize,
            frame: native.fp() as usize,
            link: native.lr() as usize,
            ..Registers::default()
        }
    }

    /// The caller of a function that is none.
    pub(in crate::crash::unwind) fn caller_of_lost(registers: &Registers, _saved: &Saved) -> Option<Registers> {
        Some(Registers { instruction: registers.link & ADDRESS, ..*registers })
    }

    /// The registers of a caller, if a function that it has called has saved frame pointer and return address here.
    /// Functions let the frame pointer point to the pair that they have saved, at the lower end of their frame (gcc) or
    /// refer to their frame by it alone (clang).
    pub(in crate::crash::unwind) fn returned_at(place: usize, saved: &Saved) -> Option<Registers> {
        let frame = saved.word(place)?;
        let instruction = saved.word(place.wrapping_add(8))? & ADDRESS;
        (frame > place).then(|| Registers { instruction, stack: frame, frame, ..Registers::default() })
    }
}

pub(super) use arch::{caller_of_lost, returned_at};
use arch::{from_native, to_native};

// Images for macOS are made and read on other systems, too.
#[cfg(all(test, unix, target_arch = "x86_64"))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may fail

    use super::Sections;
    use crate::image::macho_tests::{X86_64, link};
    use crate::image::{Source, Symbol, regions, symbols};
    use framehop::{CacheNative, MayAllocateDuringUnwind, UnwindRegsNative, UnwinderNative};
    use framehop::{FrameAddress, Module, Unwinder as _};
    use std::path::Path;

    const SOURCE: &str = "
        extern void use(void *);
        void small(void) { char room[40]; use(room); }
        void large(void) { char room[4000]; use(room); use(room + 1); }
        void kept(int a, int b) { char room[100]; while (b--) use(room + a); }
    ";

    #[test]
    fn functions_for_macos_without_frame_pointers_are_left() {
        let bytes = link("x86_64", SOURCE, &["-fomit-frame-pointer"], &["-dylib"]);
        let source = Source::original(&bytes, Path::new("guest.dylib"));
        let mut unwinder = UnwinderNative::<&[u8], MayAllocateDuringUnwind>::new();
        let sections = Sections { regions: regions(source, X86_64).unwrap(), from: 0 };
        const BASE: u64 = 0x1_0000_0000;
        unwinder.add_module(Module::new("guest".to_owned(), BASE..BASE + bytes.len() as u64, BASE, sections));
        let mut functions: Vec<Symbol<'_>> = Vec::new();
        symbols(source, X86_64, &mut |_| true, &mut |symbol| functions.push(symbol)).unwrap();
        for name in ["small", "large", "kept"] {
            let place = functions.iter().find(|symbol| symbol.name == name).unwrap().place;
            let code = &bytes[place.address as usize..][..place.size as usize];
            // What its first instructions push, and sub $room,%rsp.
            let sub = code.windows(2).position(|two| two == [0x48, 0x81] || two == [0x48, 0x83]).unwrap();
            let pushed = code[..sub].iter().filter(|byte| (0x50..0x58).contains(*byte)).count() as u64 * 8;
            let room = if code[sub + 1] == 0x83 {
                code[sub + 3].into()
            } else {
                u32::from_le_bytes(code[sub + 3..sub + 7].try_into().unwrap())
            };
            assert_eq!(code[sub + 2], 0xec, "{code:x?}");
            // It has called something: e8, and four bytes.
            let call = code.iter().rposition(|byte| *byte == 0xe8).unwrap() as u64 + 5;
            let stack = 0x7000_0000;
            let mut registers = UnwindRegsNative::new(BASE + place.address + call, stack, 0);
            // Each word of the stack tells where it is.
            let caller = unwinder.unwind_frame(
                FrameAddress::from_return_address(BASE + place.address + call).unwrap(),
                &mut registers,
                &mut CacheNative::<MayAllocateDuringUnwind>::new(),
                &mut |address| Ok(address),
            );
            let returns_at = stack + u64::from(room) + pushed;
            assert_eq!((caller, registers.sp()), (Ok(Some(returns_at)), returns_at + 8), "{name}");
        }
    }
}
