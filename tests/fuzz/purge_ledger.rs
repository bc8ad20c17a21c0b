//! Any bytes of a ledger are refused with the number of the wrong line, or become exactly the lines that were written with the key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus_ledger::{Keys, Ledger};

fuzz_target!(|bytes: &[u8]| {
    let keys = Keys::parse("0123456789012345678901234567890123456789012").unwrap();
    match Ledger::parse(bytes, &keys) {
        Err(broken) => {
            let said = broken.to_string();
            assert!(broken.line >= 1 && !said.contains('\n') && said.len() < 2000);
        }
        Ok(ledger) => {
            // It has read exactly these lines, and can append after them.
            let whole = usize::try_from(ledger.bytes()).unwrap();
            assert_eq!(ledger.is_torn(), whole < bytes.len());
            assert_eq!(bytes[..whole].iter().filter(|byte| **byte == b'\n').count(), ledger.lines().len());
            if let Some(line) = ledger.lines().last() {
                let (text, _) = ledger.next(line.entry.clone(), &keys).unwrap();
                let longer = [&bytes[..whole], text.as_bytes()].concat();
                assert_eq!(Ledger::parse(&*longer, &keys).unwrap().lines().len(), ledger.lines().len() + 1);
            }
        }
    }
});
