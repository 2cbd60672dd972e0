//! The numbers by which people name what is in the ledger. They grow, and none is used twice.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Error, Kind};

/// A number of its own kind, so that one is never taken for another.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $of:literal, $hint:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// The one of that number.
            pub const fn new(number: i64) -> Self {
                Self(number)
            }

            /// The number.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                text.parse().map($name).map_err(|_| {
                    Error::new(Kind::Usage, format!("{text:?} is not the number of a {}", $of)).hint($hint)
                })
            }
        }
    };
}

number! {
    /// The number of a job.
    JobId, "job", "npvr status --jobs lists them"
}

number! {
    /// The number of a hold.
    HoldId, "hold", "npvr hold list lists them"
}
