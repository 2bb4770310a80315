//! Seeded chance: the only source of randomness of the generator.
//!
//! Everything is integer arithmetic over one PCG stream, so a seed gives the same bytes on every machine. It refuses
//! floating-point distributions (their last digit depends on the platform's mathematics library) and any entropy from
//! outside.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

const LOWER_HEX: &[u8; 16] = b"0123456789abcdef";
/// The alphabet of IAM's unique ids (`AROA…`, `ASIA…`): base 32.
const ID_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const MIXED_ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A seeded source of choices.
#[derive(Clone, Debug)]
pub(super) struct Dice(Pcg64Mcg);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed))
    }

    /// Dice for the `number`th thing of a family: the same thing always gets the same name.
    pub(super) fn for_thing(family: u64, number: u64) -> Self {
        Self::new(family ^ number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..bound`; 0 when the bound is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        debug_assert!(u32::try_from(bound).is_ok(), "multiply-shift needs a 32-bit bound");
        ((self.next() >> 32) * bound) >> 32
    }

    /// An index into a list of `len` things.
    #[expect(clippy::cast_possible_truncation, reason = "the result is below len")]
    pub(super) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    pub(super) fn pick<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.index(things.len())]
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn per_mille(&mut self, n: u64) -> bool {
        self.below(1000) < n
    }

    /// True for this share (0 to 1) of the throws.
    #[expect(clippy::cast_precision_loss, reason = "32 bits fit an f64 exactly")]
    pub(super) fn share(&mut self, share: f64) -> bool {
        ((self.next() >> 32) as f64) < share * 4_294_967_296.0
    }

    /// A number of seconds in `low..high`.
    pub(super) fn seconds(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low).unsigned_abs()).cast_signed()
    }

    /// A small number with a long tail: most throws are low, a few come near `bound`.
    pub(super) fn skewed(&mut self, bound: u64) -> u64 {
        let once = self.below(bound.max(1));
        self.below(once + 1)
    }

    pub(super) fn guid(&mut self) -> Guid {
        Guid((u128::from(self.next()) << 64) | u128::from(self.next()))
    }

    /// An IAM unique id: 21 characters with a prefix such as `AROA`; access keys (`AKIA`, `ASIA`) have 20.
    pub(super) fn unique_id(&mut self, prefix: &str) -> String {
        let len = if matches!(prefix, "AKIA" | "ASIA") { 20 } else { 21 };
        let mut id = String::with_capacity(len);
        id.push_str(prefix);
        while id.len() < len {
            id.push(char::from(*self.pick(ID_ALPHABET)));
        }
        id
    }

    /// `len` letters and digits.
    pub(super) fn letters(&mut self, len: usize) -> String {
        (0..len).map(|_| char::from(*self.pick(MIXED_ALPHABET))).collect()
    }

    /// `len` lowercase hexadecimal digits.
    pub(super) fn hex(&mut self, len: usize) -> String {
        let mut text = Vec::with_capacity(len + 16);
        while text.len() < len {
            push_hex(&mut text, self.next(), 16);
        }
        text.truncate(len);
        text.into_iter().map(char::from).collect()
    }

    pub(super) fn digits(&mut self, len: usize) -> String {
        (0..len).map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap_or(0))).collect()
    }

    pub(super) fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.index(last + 1));
        }
    }
}

/// A version-4 GUID drawn from the dice, as AWS uses for event and request ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guid(u128);

impl Guid {
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a GUID are what is meant")]
    pub(super) fn push_to(self, out: &mut Vec<u8>) {
        let versioned = (self.0 & !(0xF << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let (high, low) = ((versioned >> 64) as u64, versioned as u64);
        push_hex(out, high >> 32, 8);
        out.push(b'-');
        push_hex(out, high >> 16, 4);
        out.push(b'-');
        push_hex(out, high, 4);
        out.push(b'-');
        push_hex(out, low >> 48, 4);
        out.push(b'-');
        push_hex(out, low, 12);
    }
}

impl std::fmt::Display for Guid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = Vec::with_capacity(36);
        self.push_to(&mut text);
        text.iter().try_for_each(|&byte| f.write_str(char::from(byte).encode_utf8(&mut [0; 4])))
    }
}

/// Appends the lowest `digits` hexadecimal digits of `number`.
pub(super) fn push_hex(out: &mut Vec<u8>, number: u64, digits: u32) {
    for place in (0..digits).rev() {
        out.push(LOWER_HEX[usize::from(number.to_le_bytes()[place as usize / 2] >> (4 * (place % 2)) & 0xF)]);
    }
}

/// A wheel of fortune whose sectors follow Zipf's law: sector `n` is hit in proportion to `1/(n+1)`.
#[derive(Clone, Debug)]
pub(super) struct Wheel {
    upto: Vec<u64>,
}

impl Wheel {
    pub(super) fn zipf(sectors: usize) -> Self {
        Self::weighted((1..=sectors as u64).map(|rank| 1_000_000 / rank))
    }

    pub(super) fn weighted(weights: impl Iterator<Item = u64>) -> Self {
        let upto = weights
            .scan(0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect();
        Self { upto }
    }

    /// The sector hit; 0 for a wheel without sectors.
    pub(super) fn spin(&self, dice: &mut Dice) -> usize {
        let hit = dice.below(self.upto.last().copied().unwrap_or(0));
        self.upto.partition_point(|&upto| upto <= hit).min(self.upto.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_guids() {
        assert_eq!(Dice::new(3).guid(), Dice::new(3).guid());
        let text = Dice::new(3).guid().to_string();
        assert_eq!(text.len(), 36);
        assert_eq!(text.as_bytes()[14], b'4', "version 4: {text}");
    }

    #[test]
    fn the_wheel_prefers_low_sectors_and_reaches_all() {
        let (wheel, mut dice, mut hits) = (Wheel::zipf(5), Dice::new(1), [0u32; 5]);
        for _ in 0..10_000 {
            hits[wheel.spin(&mut dice)] += 1;
        }
        assert!(hits[0] > hits[4] && hits[4] > 500, "{hits:?}");
    }
}
