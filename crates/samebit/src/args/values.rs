//! Values of flags; what is said of one that makes no sense is what may be given.

use std::ops::RangeInclusive;

/// Where only the type bounds a number.
pub(super) const MOST: i128 = i128::MAX;

/// On or off, as a variable of the environment says it: set to nothing is off.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "t" | "1" => Ok(true),
        "false" | "no" | "off" | "n" | "f" | "0" | "" => Ok(false),
        _ => Err("give true or false".to_owned()),
    }
}

/// A number.
pub(super) fn number(text: &str) -> Result<f32, String> {
    text.parse().map_err(|_| "give a number, such as 0.5".to_owned())
}

/// A whole number of a range.
pub(super) fn within<T: TryFrom<i128>>(
    range: RangeInclusive<i128>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| match (*range.start(), *range.end()) {
            (i128::MIN, _) => "give a whole number".to_owned(),
            (least, MOST) => format!("give a whole number, at least {least}"),
            (least, most) => format!("give a whole number from {least} to {most}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_given_is_said() {
        assert_eq!((switch("Yes"), switch(""), switch("0")), (Ok(true), Ok(false), Ok(false)));
        assert!(switch("maybe").is_err() && number("x").is_err());
        assert_eq!(within::<u64>(0..=u64::MAX.into())("18446744073709551615"), Ok(u64::MAX));
        for (text, range, said) in
            [("-1", 0..=MOST, "at least 0"), ("x", i128::MIN..=MOST, "a whole number"), ("9", 1..=8, "from 1 to 8")]
        {
            assert!(within::<u32>(range)(text).is_err_and(|why| why.ends_with(said)), "{text}");
        }
        assert!(within::<u32>(0..=MOST)("4294967296").is_err());
    }
}
