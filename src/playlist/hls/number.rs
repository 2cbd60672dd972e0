//! Numbers as text. A playlist is mostly numbers, and the machinery that formats any value takes longer than all else in it.

/// `10^20 > 2^64`.
const MOST_DIGITS: usize = 20;

/// Adds a whole number.
pub(super) fn push_whole(out: &mut String, mut number: u64) {
    let mut digits = [0_u8; MOST_DIGITS];
    let mut at = MOST_DIGITS;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
}

/// Adds microseconds as seconds: `1.92`, with as many digits as are needed.
pub(super) fn push_seconds(out: &mut String, us: u64) {
    push_whole(out, us / 1_000_000);
    let mut rest = us % 1_000_000;
    let mut width = 6;
    if rest == 0 {
        return;
    }
    while rest.is_multiple_of(10) {
        rest /= 10;
        width -= 1;
    }
    out.push('.');
    let mut digits = [b'0'; 6];
    for place in digits[..width].iter_mut().rev() {
        *place = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    out.push_str(std::str::from_utf8(&digits[..width]).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn seconds_have_no_digit_too_many() {
        for (us, text) in
            [(0, "0"), (1, "0.000001"), (1_920_000, "1.92"), (2_000_000, "2"), (10_020_000, "10.02")]
        {
            let mut out = String::new();
            push_seconds(&mut out, us);
            assert_eq!(out, text);
        }
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_they_are_read(number: u64) {
            let mut out = String::new();
            push_whole(&mut out, number);
            prop_assert_eq!(out.parse(), Ok(number));
        }

        #[test]
        fn seconds_are_written_exactly(us in 0_u64..1 << 50) {
            let mut out = String::new();
            push_seconds(&mut out, us);
            let (whole, rest) = out.split_once('.').unwrap_or((&out, ""));
            let read = whole.parse::<u64>().unwrap() * 1_000_000 + format!("{rest:0<6}").parse::<u64>().unwrap();
            prop_assert_eq!(read, us);
        }
    }
}
