//! Numbers by their exact value: any number of digits, any exponent, no rounding.

/// Longest run of digits before and after the point that canonical text writes out; beyond it uses an exponent.
const PLAIN_DIGITS_MAX: i64 = 40;

/// Are two JSON numbers the same value? `1.0`, `1` and `1e0` are; so are `0` and `-0`.
///
/// Both must be numbers of RFC 8259, as [`Raw::number`](crate::Raw::number) gives them.
#[must_use]
pub fn numbers_equal(a: &str, b: &str) -> bool {
    a == b || Decimal::new(a) == Decimal::new(b)
}

/// Appends the one spelling of a number's value: plain digits where that is short, else `<digits>e<exponent>`.
pub(crate) fn push_canonical(number: &str, out: &mut Vec<u8>) {
    if is_canonical(number) {
        out.extend_from_slice(number.as_bytes());
        return;
    }
    let Decimal { negative, digits, exponent } = Decimal::new(number);
    if negative {
        out.push(b'-');
    }
    let len = digits.len() as i64;
    match exponent {
        Exponent::Small(exponent)
            if (-PLAIN_DIGITS_MAX..=PLAIN_DIGITS_MAX - len).contains(&exponent) && exponent >= 0 =>
        {
            out.extend_from_slice(&digits);
            out.extend(std::iter::repeat_n(b'0', exponent as usize));
        }
        Exponent::Small(exponent) if (-PLAIN_DIGITS_MAX..=PLAIN_DIGITS_MAX - len).contains(&exponent) => {
            let places = exponent.unsigned_abs() as usize;
            match digits.len().checked_sub(places) {
                Some(whole @ 1..) => {
                    out.extend_from_slice(&digits[..whole]);
                    out.push(b'.');
                    out.extend_from_slice(&digits[whole..]);
                }
                _ => {
                    out.extend_from_slice(b"0.");
                    out.extend(std::iter::repeat_n(b'0', places - digits.len()));
                    out.extend_from_slice(&digits);
                }
            }
        }
        exponent => {
            out.extend_from_slice(&digits);
            out.push(b'e');
            match exponent {
                Exponent::Small(exponent) => out.extend_from_slice(exponent.to_string().as_bytes()),
                Exponent::Large { negative, digits } => {
                    if negative {
                        out.push(b'-');
                    }
                    out.extend_from_slice(&digits);
                }
            }
        }
    }
}

/// Is it spelled as [`push_canonical`] would? Says no too often rather than once too few.
pub(crate) fn is_canonical(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number).as_bytes();
    if digits.len() > PLAIN_DIGITS_MAX as usize {
        return false;
    }
    let mut point = false;
    for &byte in digits {
        match byte {
            b'0'..=b'9' => {}
            b'.' => point = true,
            _ => return false,
        }
    }
    let trailing_zero = digits.last() == Some(&b'0');
    if point { !trailing_zero } else { number != "-0" }
}

/// A number taken apart: `digits` × 10^`exponent`, digits without zeros at either end; zero has one spelling.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: Exponent,
}

#[derive(PartialEq, Eq)]
enum Exponent {
    /// Every value that fits.
    Small(i64),
    /// No value that fits. Digits without leading zeros.
    Large { negative: bool, digits: Vec<u8> },
}

impl Decimal {
    fn new(number: &str) -> Self {
        let (negative, unsigned) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number),
        };
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).skip_while(|&digit| digit == b'0').collect();
        let all = digits.len();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return Self { negative: false, digits: b"0".to_vec(), exponent: Exponent::Small(0) };
        }
        let shift = (all - digits.len()) as i64 - fraction.len() as i64;
        Self { negative, digits, exponent: Exponent::new(exponent, shift) }
    }
}

impl Exponent {
    /// `text` plus `shift`, exactly. The length of a text bounds `shift`, so it is far from the ends of an `i64`.
    fn new(text: &str, shift: i64) -> Self {
        let (negative, unsigned) = match text.as_bytes() {
            [b'-', ..] => (true, &text[1..]),
            [b'+', ..] => (false, &text[1..]),
            _ => (false, text),
        };
        let unsigned = unsigned.trim_start_matches('0');
        // Up to 36 digits an i128 takes the sum.
        if unsigned.len() <= 36 {
            let magnitude = unsigned.bytes().fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
            let sum = if negative { -magnitude } else { magnitude } + i128::from(shift);
            return match i64::try_from(sum) {
                Ok(small) => Self::Small(small),
                Err(_) => Self::Large { negative: sum < 0, digits: sum.unsigned_abs().to_string().into_bytes() },
            };
        }
        // Beyond, `shift` cannot change the sign.
        let step = if negative { -shift } else { shift };
        Self::Large { negative, digits: add(unsigned.as_bytes(), step) }
    }
}

/// `digits` + `step`, where the sum is known to be positive.
fn add(digits: &[u8], step: i64) -> Vec<u8> {
    let mut sum = digits.to_vec();
    let mut carry = step;
    for digit in sum.iter_mut().rev() {
        let value = i64::from(*digit - b'0') + carry;
        *digit = b'0' + value.rem_euclid(10) as u8;
        carry = value.div_euclid(10);
    }
    if carry > 0 {
        sum.splice(0..0, carry.to_string().into_bytes());
    }
    let zeros = sum.iter().take_while(|&&digit| digit == b'0').count();
    sum.drain(..zeros);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(number: &str) -> String {
        let mut out = Vec::new();
        push_canonical(number, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_value_has_one_spelling() {
        let n50 = "9".repeat(50);
        let groups: &[(&str, &[&str])] = &[
            ("0", &["0", "-0", "0.0", "-0e5", "0e99999999999999999999999", "0.000"]),
            ("1", &["1", "1.0", "1e0", "10e-1", "0.1e1", "0.01E+2", "1.000"]),
            ("-120", &["-120", "-1.2e2", "-120.0", "-12e1", "-0.12e3"]),
            ("0.001", &["0.001", "1e-3", "0.0010", "100e-5"]),
            ("12.5", &["12.5", "125e-1", "1.25e1", "12.50"]),
            ("1e400", &["1e400", "10e399", "0.1e401", "1.0E+400"]),
            ("1e-400", &["1e-400", "10e-401", "0.1e-399"]),
            ("100000000000000000000", &["100000000000000000000", "1e20", "1.0e20"]),
            (&format!("1e{n50}"), &[&format!("1e{n50}"), &format!("10e{}8", &n50[1..]), &format!("1e+00{n50}")]),
            (&format!("1e1{}", "0".repeat(50)), &[&format!("10e{n50}"), &format!("0.1e1{}1", "0".repeat(49))]),
            (&format!("1e-{n50}"), &[&format!("1e-{n50}"), &format!("0.1e-{}8", &n50[1..])]),
        ];
        for (expected, spellings) in groups {
            for spelling in *spellings {
                assert_eq!(&canonical(spelling), expected, "{spelling}");
                assert!(numbers_equal(spelling, expected), "{spelling}");
            }
        }
    }

    #[test]
    fn the_last_digit_counts() {
        let digits = "1234567890123456789012345678901234567890";
        assert!(!numbers_equal(digits, "1234567890123456789012345678901234567891"));
        assert!(!numbers_equal("0.1", "0.10000000000000000000000000001"));
        assert!(!numbers_equal("1", "-1"));
        assert!(!numbers_equal("1e9223372036854775807", "1e9223372036854775808"));
        assert!(numbers_equal("10e9223372036854775807", "1e9223372036854775808"));
    }

    #[test]
    fn canonical_text_is_its_own_canonical_text() {
        let long = "7".repeat(41);
        for number in ["0", "-1", "12.5", "0.001", "1e400", "-1e-400", "100", "1e40", "1e39", "1e-40", "1e-41", &long] {
            let once = canonical(number);
            assert_eq!(canonical(&once), once);
            assert!(numbers_equal(&once, number));
        }
    }
}
