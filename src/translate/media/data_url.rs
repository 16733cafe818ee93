//! URLs that hold their bytes themselves. Source: RFC 2397.

use std::borrow::Cow;

/// The scheme of every data URL.
pub(super) const SCHEME: &str = "data";
/// What comes last before the comma.
const CODING: &str = "base64";
/// What is wrong with one that others can't be given.
const UNTYPED: &str = "must be a data URL with a media type and `;base64`";

/// Media type and data of a data URL. The data isn't looked at.
///
/// # Errors
/// When it names no media type, or another coding than base64.
pub(super) fn split(url: Cow<'_, str>) -> Result<(Cow<'_, str>, Cow<'_, str>), &'static str> {
    let (type_end, comma) = ends(&url).ok_or(UNTYPED)?;
    let type_start = SCHEME.len() + ":".len();
    Ok(match url {
        Cow::Borrowed(url) => (url[type_start..type_end].into(), url[comma + 1..].into()),
        Cow::Owned(mut url) => {
            let data = url.split_off(comma + 1);
            (url[type_start..type_end].to_owned().into(), data.into())
        }
    })
}

/// Where the media type ends, and the comma before the data.
fn ends(url: &str) -> Option<(usize, usize)> {
    let comma = url.find(',')?;
    let (scheme, rest) = url[..comma].split_once(':')?;
    let (head, coding) = rest.rsplit_once(';')?;
    let media_type = head.split(';').next()?;
    let is_known = scheme.eq_ignore_ascii_case(SCHEME) && coding.eq_ignore_ascii_case(CODING);
    (is_known && media_type.contains('/')).then_some((scheme.len() + ":".len() + media_type.len(), comma))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_split_at_its_comma_whoever_owns_it() {
        for url in ["data:image/png;base64,AAAA", "DATA:image/png;charset=utf-8;BASE64,AAAA"] {
            for url in [Cow::Borrowed(url), Cow::Owned(url.to_owned())] {
                assert_eq!(split(url), Ok(("image/png".into(), "AAAA".into())));
            }
        }
    }

    #[test]
    fn what_names_no_type_or_no_base64_is_refused() {
        for url in [
            "",
            "data:",
            "data:,",
            "data:image/png;base64",
            "data:image/png,AAAA",
            "data:;base64,AAAA",
            "data:png;base64,AAAA",
            "data:image/png;base32,AAAA",
            "data:é,;base64,AAAA",
            "date:image/png;base64,AAAA",
        ] {
            assert_eq!(split(url.into()), Err(UNTYPED), "{url}");
        }
    }
}
