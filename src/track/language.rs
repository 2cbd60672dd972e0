//! Languages by their codes: manifests write the shortest (`en`), files three letters (`eng`), and both mean one.

/// The codes of two letters (ISO 639-1), each with that of three (ISO 639-2/T).
const TWO_LETTERS: &str = "\
    aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara as:asm av:ava ay:aym az:aze ba:bak be:bel bg:bul \
    bh:bih bi:bis bm:bam bn:ben bo:bod br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces cu:chu cv:chv \
    cy:cym da:dan de:deu dv:div dz:dzo ee:ewe el:ell en:eng eo:epo es:spa et:est eu:eus fa:fas ff:ful fi:fin \
    fj:fij fo:fao fr:fra fy:fry ga:gle gd:gla gl:glg gn:grn gu:guj gv:glv ha:hau he:heb hi:hin ho:hmo hr:hrv \
    ht:hat hu:hun hy:hye hz:her ia:ina id:ind ie:ile ig:ibo ii:iii ik:ipk io:ido is:isl it:ita iu:iku ja:jpn \
    jv:jav ka:kat kg:kon ki:kik kj:kua kk:kaz kl:kal km:khm kn:kan ko:kor kr:kau ks:kas ku:kur kv:kom kw:cor \
    ky:kir la:lat lb:ltz lg:lug li:lim ln:lin lo:lao lt:lit lu:lub lv:lav mg:mlg mh:mah mi:mri mk:mkd ml:mal \
    mn:mon mr:mar ms:msa mt:mlt my:mya na:nau nb:nob nd:nde ne:nep ng:ndo nl:nld nn:nno no:nor nr:nbl nv:nav \
    ny:nya oc:oci oj:oji om:orm or:ori os:oss pa:pan pi:pli pl:pol ps:pus pt:por qu:que rm:roh rn:run ro:ron \
    ru:rus rw:kin sa:san sc:srd sd:snd se:sme sg:sag si:sin sk:slk sl:slv sm:smo sn:sna so:som sq:sqi sr:srp \
    ss:ssw st:sot su:sun sv:swe sw:swa ta:tam te:tel tg:tgk th:tha ti:tir tk:tuk tl:tgl tn:tsn to:ton tr:tur \
    ts:tso tt:tat tw:twi ty:tah ug:uig uk:ukr ur:urd uz:uzb ve:ven vi:vie vo:vol wa:wln wo:wol xh:xho yi:yid \
    yo:yor za:zha zh:zho zu:zul";

/// The codes that libraries use (ISO 639-2/B), where they differ from ISO 639-2/T.
const OF_LIBRARIES: &str = "\
    alb:sqi arm:hye baq:eus bur:mya chi:zho cze:ces dut:nld fre:fra geo:kat ger:deu gre:ell ice:isl mac:mkd \
    mao:mri may:msa per:fas rum:ron slo:slk tib:bod wel:cym";

/// True if both codes mean one language; what stands behind a `-` (a region, a script) does not count, nor does case.
pub fn is_same_language(one: &str, other: &str) -> bool {
    canonical(one) == canonical(other)
}

/// A language as RFC 5646 has it: the shortest code, a region in capitals. `None` if it is not determined, or no tag at all.
pub fn language_tag(language: &str) -> Option<String> {
    let mut parts = language.split(['-', '_']);
    let primary = canonical(parts.next()?);
    let is_word =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    if primary == "und"
        || !(2..=8).contains(&primary.len())
        || !primary.bytes().all(|b| b.is_ascii_alphabetic())
    {
        return None;
    }
    let short =
        TWO_LETTERS.split(' ').filter_map(|pair| pair.split_once(':')).find(|(_, long)| *long == primary);
    let mut tag = short.map_or(primary.as_str(), |(short, _)| short).to_owned();
    for part in parts {
        if !is_word(part) {
            return None;
        }
        tag.push('-');
        match part.len() {
            2 => tag.push_str(&part.to_ascii_uppercase()),
            _ => tag.push_str(part),
        }
    }
    Some(tag)
}

/// The code of three letters, if there is one.
fn canonical(tag: &str) -> String {
    let primary = tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let table = if primary.len() == 2 { TWO_LETTERS } else { OF_LIBRARIES };
    let found = table.split(' ').filter_map(|pair| pair.split_once(':')).find(|(code, _)| *code == primary);
    found.map_or(primary, |(_, terminological)| terminological.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_two_and_three_letters_and_tags_mean_the_same() {
        for (one, other, same) in [
            ("en", "eng", true),
            ("EN-gb", "eng", true),
            ("nl", "dut", true),
            ("nld", "dut", true),
            ("zh-Hans", "chi", true),
            ("de", "ger", true),
            ("en", "nld", false),
            ("qaa", "qaa", true),
            ("qaa", "qab", false),
            ("xx", "xx", true),
        ] {
            assert_eq!(is_same_language(one, other), same, "{one} {other}");
        }
    }

    #[test]
    fn a_tag_has_the_shortest_code() {
        for (language, tag) in [
            ("eng", Some("en")),
            ("dut", Some("nl")),
            ("EN-gb", Some("en-GB")),
            ("zho-hans", Some("zh-hans")),
            ("gsw", Some("gsw")),
            ("und", None),
            ("", None),
            ("e\"n", None),
            ("en-", None),
        ] {
            assert_eq!(language_tag(language).as_deref(), tag, "{language}");
        }
    }

    #[test]
    fn the_tables_are_sorted_and_have_every_code_once() {
        for (table, length, count) in [(TWO_LETTERS, 2, 184), (OF_LIBRARIES, 3, 20)] {
            let codes: Vec<&str> = table.split(' ').map(|pair| pair.split_once(':').unwrap().0).collect();
            assert_eq!(codes.len(), count);
            assert!(codes.iter().all(|code| code.len() == length));
            assert!(codes.is_sorted_by(|a, b| a < b));
        }
    }
}
