//! Settings that are paths and that several programs read. The crate of its subject declares each once.

/// Declares a type to flatten into a program's arguments: a path from the command line, the environment or its default.
#[macro_export]
macro_rules! path_setting {
    ($(#[doc = $help:literal])+ $name:ident: $id:literal, --$long:literal, $env:literal, $value:literal, $default:literal) => {
        $(#[doc = $help])+
        #[derive(clap::Args, Clone, Debug)]
        pub struct $name {
            $(#[doc = $help])+
            #[arg(id = $id, long = $long, env = $env, value_name = $value, default_value = $default)]
            path: std::path::PathBuf,
        }

        impl std::ops::Deref for $name {
            type Target = std::path::Path;

            fn deref(&self) -> &std::path::Path {
                &self.path
            }
        }
    };
}
