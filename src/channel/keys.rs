//! The table of keys: every key of a channel file, what form it has, its default, and what it means.
//!
//! The only list there is. Unknown keys are found by it, defaults come from it, and the comments of a new channel file
//! are made of it.

/// What a value looks like in TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A string.
    Text,
    /// A string that must not be shown.
    Secret,
    /// `true` or `false`.
    Switch,
    /// A whole number that is not negative.
    Count,
    /// An array of strings.
    List,
    /// An array of strings that must not be shown.
    SecretList,
    /// A table of strings that must not be shown.
    SecretTable,
}

impl Form {
    /// How a person would say it.
    pub(super) const fn said(self) -> &'static str {
        match self {
            Form::Text | Form::Secret => "text in quotes",
            Form::Switch => "true or false",
            Form::Count => "a whole number",
            Form::List | Form::SecretList => "a list of texts, like [\"video\", \"audio=eng\"]",
            Form::SecretTable => "a table of texts",
        }
    }
}

/// One key of a channel file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its name, with its table: `disk.path`.
    pub name: &'static str,
    /// What its value looks like.
    pub form: Form,
    /// Its default, as TOML; `None` if there is none.
    pub default: Option<&'static str>,
    /// A value for those that have no default, as TOML.
    pub example: &'static str,
    /// What it means, for the person who opens the file.
    pub note: &'static str,
}

/// A key that has a default.
const fn with(name: &'static str, form: Form, default: &'static str, note: &'static str) -> Key {
    Key { name, form, default: Some(default), example: default, note }
}

/// A key that has none.
const fn without(name: &'static str, form: Form, example: &'static str, note: &'static str) -> Key {
    Key { name, form, default: None, example, note }
}

/// Every key of a channel file, in the order in which they are shown; those in tables last, as TOML wants it.
pub const KEYS: &[Key] = &[
    without(
        "channel_url",
        Form::Text,
        "\"https://example.com/live/news.isml\"",
        "Where the live stream is: a publishing point (.isml), or a DASH manifest.",
    ),
    with("enabled", Form::Switch, "true", "false leaves the channel alone, and keeps its archive."),
    with(
        "chunk_duration",
        Form::Text,
        "\"PT5M\"",
        "How long a chunk is: whole seconds, up to a day. Chunks start at multiples of it since 1970, UTC.",
    ),
    with("archive_length", Form::Text, "\"P7D\"", "How long a chunk is kept."),
    without(
        "archive_size",
        Form::Text,
        "\"2TB\"",
        "The most that the chunks may take: the oldest go first, however young. Left out: no limit.",
    ),
    with(
        "tracks",
        Form::List,
        "[]",
        "Which tracks: [\"video\", \"audio=eng\", \"video=1500000\"]. Empty is all of them.",
    ),
    with(
        "margin",
        Form::Text,
        "\"PT2M\"",
        "Media that would be lost within this time of being ready is captured before its chunk ends.",
    ),
    without(
        "settle",
        Form::Text,
        "\"PT20S\"",
        "How far past the end of a chunk the stream must be before the chunk is captured. Left out: two segments.",
    ),
    with("max_connections", Form::Count, "4", "Requests at once to the source."),
    with(
        "max_rate",
        Form::Text,
        "\"25MB/s\"",
        "The most to fetch from the source in a second; \"unlimited\" lifts it.",
    ),
    without("username", Form::Text, "\"npvr\"", "For a source that asks who you are."),
    without("password", Form::Secret, "\"\"", "Better kept elsewhere: see password_file and password_env."),
    without(
        "password_file",
        Form::Text,
        "\"/etc/npvr/news.password\"",
        "A file that holds the password, and nothing else.",
    ),
    without(
        "password_env",
        Form::Text,
        "\"NEWS_PASSWORD\"",
        "The name of an environment variable that holds the password.",
    ),
    with(
        "engine",
        Form::Text,
        "\"native\"",
        "What captures: \"native\" is npvr itself, \"unified\" is the program unified_capture (.isml only).",
    ),
    without(
        "public_url",
        Form::Text,
        "\"https://cdn.example.com/npvr\"",
        "Where playlists say that chunks are: at their keys below this. Left out: the store's own URL, or npvr's for a disk.",
    ),
    with(
        "smil_dialect",
        Form::Text,
        "\"classic\"",
        "How playlists for Remix are written: \"classic\", or \"continuous\" for Remix 1.12.2 and later.",
    ),
    with("connect_timeout", Form::Text, "\"PT10S\"", "How long to wait for a connection."),
    with("read_timeout", Form::Text, "\"PT20S\"", "How long the source may stay silent."),
    without("headers", Form::SecretTable, "X-Example = \"value\"", "Extra request headers."),
    with("unified.program", Form::Text, "\"unified_capture\"", "The program that engine \"unified\" runs."),
    with("unified.timeout", Form::Text, "\"PT300S\"", "How long it may take for one chunk."),
    without(
        "unified.licence_file",
        Form::Text,
        "\"/etc/npvr/unified.licence\"",
        "A file that holds its licence. Left out: what UspLicenseKey in the environment of npvr says.",
    ),
    without(
        "unified.licence_env",
        Form::Text,
        "\"UspLicenseKey\"",
        "The name of an environment variable that holds its licence.",
    ),
    with(
        "unified.filter",
        Form::Text,
        "'(type!=\"meta\")'",
        "What it asks the source for; \"\" is everything.",
    ),
    with("unified.verbosity", Form::Count, "3", "How much it writes into the log of the job."),
    with(
        "ism.program",
        Form::Text,
        "\"mp4split\"",
        "The program that makes server manifests, if it is installed.",
    ),
    with(
        "ism.options",
        Form::SecretList,
        "[]",
        "What it is told besides, such as keys of DRM systems. Every user of the host can read its command line.",
    ),
    with("ism.timeout", Form::Text, "\"PT30S\"", "How long it may take for one manifest."),
    without(
        "ism.remix_url",
        Form::Text,
        "\"http://remix-proxy\"",
        "The proxy before Remix: NAME/START--END.mp4 below it is what it reads. Left out: npvr writes manifests by itself.",
    ),
    with(
        "ism.s3_keys",
        Form::Switch,
        "false",
        "true gives it the keys of [s3] on its command line, as the reference does.",
    ),
    without(
        "playback.media",
        Form::Text,
        "\"serve\"",
        "Where players of HLS and DASH get media: \"direct\", at public_url; \"redirect\", sent on to the bucket with a URL \
         that is good for a while; \"serve\", from npvr. Left out: the first of these that can be.",
    ),
    without(
        "playback.sign_key_files",
        Form::List,
        "[\"/etc/npvr/news.sign\"]",
        "Files with the keys of signed links: the first signs, and links of either play. Left out: no link needs to be signed.",
    ),
    without(
        "disk.path",
        Form::Text,
        "\"/srv/npvr\"",
        "The folder for the chunks. Left out: one under the state folder.",
    ),
    without(
        "s3.endpoint",
        Form::Text,
        "\"minio:9000\"",
        "Chunks go into a bucket instead: of this server. Left out: Amazon's, of the region.",
    ),
    with("s3.secure", Form::Switch, "true", "false speaks plain HTTP to it."),
    without("s3.bucket", Form::Text, "\"npvr\"", "The bucket. It has to be there."),
    with("s3.region", Form::Text, "\"us-east-1\"", "The region that the server counts itself to."),
    with(
        "s3.path_style",
        Form::Switch,
        "true",
        "true: https://endpoint/bucket/key; false: https://bucket.endpoint/key.",
    ),
    without(
        "s3.access_key",
        Form::Secret,
        "\"\"",
        "The keys. Left out: AWS_ACCESS_KEY_ID and its like, the AWS profile, the role of the machine.",
    ),
    without("s3.access_key_file", Form::Text, "\"/etc/npvr/s3.access\"", "A file that holds the access key."),
    without(
        "s3.access_key_env",
        Form::Text,
        "\"S3_ACCESS\"",
        "The name of an environment variable that holds the access key.",
    ),
    without("s3.secret_key", Form::Secret, "\"\"", "Better kept elsewhere: see the next two."),
    without("s3.secret_key_file", Form::Text, "\"/etc/npvr/s3.secret\"", "A file that holds the secret key."),
    without(
        "s3.secret_key_env",
        Form::Text,
        "\"S3_SECRET\"",
        "The name of an environment variable that holds the secret key.",
    ),
    without(
        "s3.session_token",
        Form::Secret,
        "\"\"",
        "The token that comes with keys that are lent for a while.",
    ),
    without("s3.session_token_file", Form::Text, "\"/etc/npvr/s3.token\"", "A file that holds that token."),
    without(
        "s3.session_token_env",
        Form::Text,
        "\"S3_TOKEN\"",
        "The name of an environment variable that holds that token.",
    ),
    without("s3.profile", Form::Text, "\"archive\"", "Takes the keys of this AWS profile."),
];

/// The key of that name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|k| k.name == name)
}

/// The name nearest to `name` among `known`, if one is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|k| (strsim::jaro_winkler(name, k), k));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.8).then_some(best.1)
}
