//! Relative relocations, packed: the dynamic loader reads some KiB of them instead of over a MiB, which
//! would stay in the process's resident memory. glibc reads them so since 2.36 (Debian 12).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_glibc = std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    if is_glibc && std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
