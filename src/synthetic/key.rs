//! A KMS key of the world that the logs are about. It refuses to know who uses it.

/// What a key is for (KMS `KeyUsage` and `KeySpec` in one).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spec {
    Symmetric,
    Signing,
    Mac,
    Agreement,
    Encapsulation,
}

/// A KMS key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) arn: String,
    pub(super) id: String,
    pub(super) account: usize,
    pub(super) region: usize,
    /// With its `alias/`.
    pub(super) alias: String,
    pub(super) spec: Spec,
    pub(super) material_id: String,
    pub(super) aws_managed: bool,
    /// `resources`, ready to be copied.
    pub(super) resource: Vec<u8>,
}
