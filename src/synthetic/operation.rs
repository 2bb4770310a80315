//! The cryptographic operations of KMS and how a request for each looks (facts §3.1 and §3.2).
//!
//! It refuses to know who asks or why.

use super::dice::Dice;
use super::key::{Key, Spec};
use super::record::Record;

/// The cryptographic operations: classes decrypt, encrypt, generate, sign and mac.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Decrypt,
    ReEncrypt,
    DeriveSharedSecret,
    Decapsulate,
    Encrypt,
    GenerateDataKey,
    GenerateDataKeyWithoutPlaintext,
    GenerateDataKeyPair,
    GenerateDataKeyPairWithoutPlaintext,
    GenerateRandom,
    Encapsulate,
    Sign,
    Verify,
    GenerateMac,
    VerifyMac,
}

use Operation::{
    Decapsulate, Decrypt, DeriveSharedSecret, Encapsulate, Encrypt, GenerateDataKey, GenerateDataKeyPair,
    GenerateDataKeyPairWithoutPlaintext, GenerateDataKeyWithoutPlaintext, GenerateMac, GenerateRandom, ReEncrypt, Sign,
    Verify, VerifyMac,
};

/// How a caller names the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyForm {
    Arn,
    BareId,
    Alias,
    AliasArn,
}

impl Operation {
    /// The `eventName`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Decrypt => "Decrypt",
            ReEncrypt => "ReEncrypt",
            DeriveSharedSecret => "DeriveSharedSecret",
            Decapsulate => "Decapsulate",
            Encrypt => "Encrypt",
            GenerateDataKey => "GenerateDataKey",
            GenerateDataKeyWithoutPlaintext => "GenerateDataKeyWithoutPlaintext",
            GenerateDataKeyPair => "GenerateDataKeyPair",
            GenerateDataKeyPairWithoutPlaintext => "GenerateDataKeyPairWithoutPlaintext",
            GenerateRandom => "GenerateRandom",
            Encapsulate => "Encapsulate",
            Sign => "Sign",
            Verify => "Verify",
            GenerateMac => "GenerateMac",
            VerifyMac => "VerifyMac",
        }
    }

    /// What a direct caller does with a key of this kind, with weights.
    pub(super) fn mix(spec: Spec) -> &'static [(Operation, u64)] {
        match spec {
            Spec::Symmetric => &[
                (Decrypt, 60),
                (Encrypt, 15),
                (GenerateDataKey, 15),
                (ReEncrypt, 3),
                (GenerateDataKeyWithoutPlaintext, 3),
                (GenerateDataKeyPair, 1),
                (GenerateDataKeyPairWithoutPlaintext, 1),
                (GenerateRandom, 2),
            ],
            Spec::Signing => &[(Sign, 70), (Verify, 30)],
            Spec::Mac => &[(GenerateMac, 50), (VerifyMac, 50)],
            Spec::Agreement => &[(DeriveSharedSecret, 1)],
            Spec::Encapsulation => &[(Encapsulate, 50), (Decapsulate, 50)],
        }
    }

    /// Whether the request carries an encryption context when the caller has one.
    pub(super) fn takes_context(self) -> bool {
        matches!(
            self,
            Decrypt
                | ReEncrypt
                | Encrypt
                | GenerateDataKey
                | GenerateDataKeyWithoutPlaintext
                | GenerateDataKeyPair
                | GenerateDataKeyPairWithoutPlaintext
        )
    }

    /// Whether KMS reads the key from the ciphertext, so that the request need not name it.
    pub(super) fn key_from_ciphertext(self) -> bool {
        matches!(self, Decrypt | ReEncrypt)
    }

    /// Writes the members of `requestParameters` besides the encryption context.
    pub(super) fn write_parameters(self, record: &mut Record, old: bool, dice: &mut Dice) {
        match self {
            Decrypt | Encrypt if !old => record.text("encryptionAlgorithm", "SYMMETRIC_DEFAULT"),
            ReEncrypt => {
                record.text("sourceEncryptionAlgorithm", "SYMMETRIC_DEFAULT");
                record.text("destinationEncryptionAlgorithm", "SYMMETRIC_DEFAULT");
            }
            GenerateDataKey if dice.one_in(6) => record.number("numberOfBytes", 64),
            GenerateDataKey => record.text("keySpec", "AES_256"),
            GenerateDataKeyWithoutPlaintext => record.number("numberOfBytes", 64),
            GenerateDataKeyPair | GenerateDataKeyPairWithoutPlaintext => record.text("keyPairSpec", "ECC_NIST_P256"),
            Sign | Verify => {
                record.text("messageType", if dice.one_in(2) { "DIGEST" } else { "RAW" });
                record.text("signingAlgorithm", "RSASSA_PSS_SHA_256");
            }
            GenerateMac | VerifyMac => record.text("macAlgorithm", "HMAC_SHA_256"),
            DeriveSharedSecret => record.text("keyAgreementAlgorithm", "ECDH"),
            Encapsulate | Decapsulate => record.text("encapsulationAlgorithm", "ML_KEM_768"),
            Decrypt | Encrypt | GenerateRandom => {}
        }
    }
}

/// Writes a member that names a key in one of the forms that KMS accepts.
pub(super) fn write_key_id(record: &mut Record, member: &str, key: &Key, form: KeyForm) {
    match form {
        KeyForm::Arn => record.text(member, &key.arn),
        KeyForm::BareId => record.text(member, &key.id),
        KeyForm::Alias => record.text(member, &key.alias),
        KeyForm::AliasArn => {
            let prefix = key.arn.split(":key/").next().unwrap_or("");
            record.text_of(member, |t| {
                t.push(prefix).push(":").push(&key.alias);
            });
        }
    }
}
