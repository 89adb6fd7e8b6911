//! What the tests of the guard do in assembly on 64-bit ARM.

use core::arch::global_asm;

/// What a call must keep, in the order of `fill_and_call`: x19 to x29; d8 to d15; the control word of the
/// floating-point unit (rounds towards zero).
pub(super) const KEPT: [usize; 20] = [
    0x1919,
    0x2020,
    0x2121,
    0x2222,
    0x2323,
    0x2424,
    0x2525,
    0x2626,
    0x2727,
    0x2828,
    0x2929,
    0x0808,
    0x0909,
    0x1010,
    0x1111,
    0x1212,
    0x1313,
    0x1414,
    0x1515,
    0x00c0_0000,
];

// fill_and_call(x0: registers, x1: target, x2: arguments) -> w0
global_asm!(
    function!("cr_test_fill_and_call"),
    save!(),
    "mrs x9, fpcr",           // of the caller
    "stp x9, x0, [sp, #160]", // and the registers, for after the call
    "mov x9, x1",             // the target
    "mov x10, x0",
    "mov x11, x2",
    "ldp x19, x20, [x10]",
    "ldp x21, x22, [x10, #16]",
    "ldp x23, x24, [x10, #32]",
    "ldp x25, x26, [x10, #48]",
    "ldp x27, x28, [x10, #64]",
    "ldr x29, [x10, #80]",
    "ldp d8, d9, [x10, #88]",
    "ldp d10, d11, [x10, #104]",
    "ldp d12, d13, [x10, #120]",
    "ldp d14, d15, [x10, #136]",
    "ldr x12, [x10, #152]",
    "msr fpcr, x12",
    "ldp x0, x1, [x11]", // its arguments
    "ldp x2, x3, [x11, #16]",
    "ldr x4, [x11, #32]",
    "blr x9",
    "ldp x9, x10, [sp, #160]", // the registers
    "stp x19, x20, [x10]",     // what they are now
    "stp x21, x22, [x10, #16]",
    "stp x23, x24, [x10, #32]",
    "stp x25, x26, [x10, #48]",
    "stp x27, x28, [x10, #64]",
    "str x29, [x10, #80]",
    "stp d8, d9, [x10, #88]",
    "stp d10, d11, [x10, #104]",
    "stp d12, d13, [x10, #120]",
    "stp d14, d15, [x10, #136]",
    "mrs x12, fpcr",
    "str x12, [x10, #152]",
    "msr fpcr, x9",
    restore!(),
    "ldp x29, x30, [sp], #176",
    ".cfi_def_cfa_offset 0",
    "ret",
    end!("cr_test_fill_and_call"),
);

// spoil(x0: what to do then), a guest: leaves nothing in the registers that was there, and does not say so in its
// unwind table. So whoever called it gets back only what the guard has kept.
global_asm!(
    function!("cr_test_spoil"),
    "str x30, [sp, #-16]!",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset x30, -16",
    "mov x19, #-1",
    "mov x20, #-2",
    "mov x21, #-3",
    "mov x22, #-4",
    "mov x23, #-5",
    "mov x24, #-6",
    "mov x25, #-7",
    "mov x26, #-8",
    "mov x27, #-9",
    "mov x28, #-10",
    "fmov d8, x19",
    "fmov d9, x20",
    "fmov d10, x21",
    "fmov d11, x22",
    "fmov d12, x23",
    "fmov d13, x24",
    "fmov d14, x25",
    "fmov d15, x26",
    "cbz x0, 2f",
    "blr x0", // which does not return
    "2:",
    "mov x29, #-11",     // not above: unwinding goes by the frame pointer
    "mov x9, #0x400000", // another control word
    "msr fpcr, x9",
    "mov x30, #-1", // no way back
    "mov x9, #7",
    "mov sp, x9", // and no stack
    "udf #0",
    end!("cr_test_spoil"),
);
