//! Where the dynamic loader has put an image.

#[cfg(target_vendor = "apple")]
pub(super) use apple::bias;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) use link_map::bias;
#[cfg(not(any(target_vendor = "apple", all(target_os = "linux", target_env = "gnu"))))]
pub(super) use program_headers::bias;

/// glibc tells it by the handle.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod link_map {
    use core::ffi::c_void;
    use core::ptr::null_mut;

    /// The head of `struct link_map` (link.h).
    #[repr(C)]
    struct LinkMap {
        /// What is added to the addresses in the file.
        bias: usize,
    }

    /// What is added to the addresses in the file. `handle` is the image's, `address` a place in it.
    pub(in super::super) fn bias(handle: *mut c_void, _address: *mut c_void) -> Option<usize> {
        let mut map: *mut LinkMap = null_mut();
        // SAFETY: a handle from dlopen, and room for a pointer.
        let found = unsafe { libc::dlinfo(handle, libc::RTLD_DI_LINKMAP, (&raw mut map).cast()) };
        // SAFETY: on success the link map lives as long as the image is loaded.
        let map = unsafe { map.as_ref() };
        map.filter(|_| found == 0).map(|map| map.bias)
    }
}

/// The other systems with ELF name all images, each with its program headers.
#[cfg(not(any(target_vendor = "apple", all(target_os = "linux", target_env = "gnu"))))]
mod program_headers {
    use core::ffi::{c_int, c_void};

    /// An address, and the bias of the image that it is in.
    struct Search {
        address: usize,
        bias: Option<usize>,
    }

    pub(in super::super) fn bias(_handle: *mut c_void, address: *mut c_void) -> Option<usize> {
        let mut search = Search { address: address.addr(), bias: None };
        // SAFETY: the function below, and what it gets.
        unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
        search.bias
    }

    /// Called for each image; ends the search when it is not 0.
    unsafe extern "C" fn look(info: *mut libc::dl_phdr_info, _size: usize, search: *mut c_void) -> c_int {
        // SAFETY: the loader passes the description of an image.
        let info = unsafe { &*info };
        // SAFETY: what `bias` has passed, which nobody else uses meanwhile.
        let search = unsafe { &mut *search.cast::<Search>() };
        let bias = info.dlpi_addr as usize;
        for index in 0..usize::from(info.dlpi_phnum) {
            // SAFETY: the image has so many program headers.
            let header = unsafe { &*info.dlpi_phdr.wrapping_add(index) };
            let start = bias.wrapping_add(header.p_vaddr as usize);
            let offset = search.address.wrapping_sub(start);
            if header.p_type == libc::PT_LOAD && offset < header.p_memsz as usize {
                search.bias = Some(bias);
                return 1;
            }
        }
        0
    }
}

/// On Apple's systems the header of the loaded image is asked: its load commands say for which address it was linked.
#[cfg(target_vendor = "apple")]
mod apple {
    use crate::sys::unix::apple;
    use core::ffi::c_void;
    use core::mem::MaybeUninit;

    pub(in super::super) fn bias(_handle: *mut c_void, address: *mut c_void) -> Option<usize> {
        let mut found = MaybeUninit::<libc::Dl_info>::uninit();
        // SAFETY: only asks; room for the answer.
        if unsafe { libc::dladdr(address, found.as_mut_ptr()) } == 0 {
            return None;
        }
        // SAFETY: the call succeeded and has filled it.
        let header = unsafe { found.assume_init() }.dli_fbase.cast_const();
        // SAFETY: dladdr gives the header of the image that the address is in, which stays mapped with it.
        let mut segments = unsafe { apple::segments(header) };
        // The header is at the beginning of the segment that is the beginning of the file.
        let first = segments.find(|segment| segment.fileoff == 0 && segment.filesize > 0)?;
        Some(header.addr().wrapping_sub(first.vmaddr as usize))
    }
}
