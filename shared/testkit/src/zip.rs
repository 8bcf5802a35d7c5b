//! A zip archive of one executable file, stored without compression.
//!
//! Layout after PKWARE's APPNOTE.TXT 6.3, §4.3.7 (local header), §4.3.12 (central directory) and
//! §4.3.16 (its end).

/// Made by Unix, so that the external attributes hold a mode (§4.4.2).
const MADE_BY_UNIX: u16 = 3 << 8 | 20;
const VERSION_NEEDED: u16 = 20;
/// A regular file, rwxr-xr-x.
const MODE: u32 = 0o100_755 << 16;
/// 1980-01-01, the format's first day.
const DATE: u16 = 0x21;

/// An archive that holds `content` as an executable file called `name`.
pub(crate) fn zip_of_program(name: &str, content: &str) -> Vec<u8> {
    let size = u32::try_from(content.len()).expect("the program fits the format");
    let name_size = u16::try_from(name.len()).expect("the name fits the format");
    let described = described(content.as_bytes(), size, name_size);

    let mut zip = Vec::new();
    zip.extend(0x0403_4b50_u32.to_le_bytes());
    zip.extend(&described);
    zip.extend(name.as_bytes());
    zip.extend(content.as_bytes());

    let directory_start = zip.len();
    zip.extend(0x0201_4b50_u32.to_le_bytes());
    zip.extend(MADE_BY_UNIX.to_le_bytes());
    zip.extend(&described);
    zip.extend([0; 6]); // comment length, disk, internal attributes
    zip.extend(MODE.to_le_bytes());
    zip.extend(0_u32.to_le_bytes()); // where the local header starts
    zip.extend(name.as_bytes());
    let directory_size = zip.len() - directory_start;

    zip.extend(0x0605_4b50_u32.to_le_bytes());
    zip.extend([0; 4]); // this disk, the directory's disk
    zip.extend([1, 0, 1, 0]); // entries here, entries in all
    for number in [directory_size, directory_start] {
        zip.extend(
            u32::try_from(number)
                .expect("the archive fits the format")
                .to_le_bytes(),
        );
    }
    zip.extend([0; 2]); // comment length
    zip
}

/// The fields that the local header and the central directory have in common.
fn described(content: &[u8], size: u32, name_size: u16) -> Vec<u8> {
    let mut fields = Vec::new();
    fields.extend(VERSION_NEEDED.to_le_bytes());
    fields.extend([0; 6]); // flags, method (stored), time
    fields.extend(DATE.to_le_bytes());
    fields.extend(crc32(content).to_le_bytes());
    fields.extend(size.to_le_bytes()); // compressed
    fields.extend(size.to_le_bytes());
    fields.extend(name_size.to_le_bytes());
    fields.extend([0; 2]); // extra field's length
    fields
}

/// CRC-32 as in IEEE 802.3 (reflected, polynomial 0xEDB88320), §4.4.7.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_of_the_check_string_is_the_published_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn archive_has_the_sizes_its_end_record_tells() {
        let zip = zip_of_program("bootstrap", "#!/bin/sh\n");
        assert_eq!(zip.len(), 30 + 9 + 10 + 46 + 9 + 22);
        assert_eq!(zip[zip.len() - 10..zip.len() - 6], 55_u32.to_le_bytes());
        assert_eq!(zip[zip.len() - 6..zip.len() - 2], 49_u32.to_le_bytes());
    }
}
