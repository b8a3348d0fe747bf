//! A push message for one browser: `aes128gcm` of RFC 8188 with the keys of RFC 8291.
//!
//! One record, no padding. The key of the sender is made for each message. Nothing here asks the network.

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom, SystemRandom};

/// Larger than any push message: the whole is one record.
const RECORD_SIZE: u32 = 4_096;
/// Ends the last record (RFC 8188 §2).
const LAST: u8 = 2;

/// Bytes that HKDF gives.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// `browser` is the uncompressed point `p256dh` of the subscription, `auth` its secret.
pub fn seal(plain: &[u8], browser: &[u8], auth: &[u8]) -> Result<Vec<u8>, String> {
    let random = SystemRandom::new();
    let key = EphemeralPrivateKey::generate(&ECDH_P256, &random).map_err(|_| "no random numbers")?;
    let own = key.compute_public_key().map_err(|_| "no key could be made")?;
    let mut salt = [0; 16];
    random.fill(&mut salt).map_err(|_| "no random numbers")?;
    agree_ephemeral(key, &UnparsedPublicKey::new(&ECDH_P256, browser), |shared| {
        seal_with(plain, shared, own.as_ref(), browser, auth, salt)
    })
    .map_err(|_| "the subscription's key `p256dh` is no point of P-256")?
}

/// With the secret that both sides share and everything else given.
fn seal_with(
    plain: &[u8],
    shared: &[u8],
    own: &[u8],
    browser: &[u8],
    auth: &[u8],
    salt: [u8; 16],
) -> Result<Vec<u8>, String> {
    let info = [b"WebPush: info\0".as_slice(), browser, own].concat();
    let input: [u8; 32] = derive(auth, shared, &info)?;
    let key: [u8; 16] = derive(&salt, &input, b"Content-Encoding: aes128gcm\0")?;
    let nonce: [u8; 12] = derive(&salt, &input, b"Content-Encoding: nonce\0")?;
    let mut record = [plain, &[LAST]].concat();
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).map_err(|_| "no key")?);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut record)
        .map_err(|_| "the message cannot be encrypted")?;
    let length = u8::try_from(own.len()).map_err(|_| "the key is too long")?;
    Ok([salt.as_slice(), &RECORD_SIZE.to_be_bytes(), &[length], own, &record].concat())
}

fn derive<const N: usize>(salt: &[u8], input: &[u8], info: &[u8]) -> Result<[u8; N], String> {
    let mut derived = [0; N];
    let pseudorandom = Salt::new(HKDF_SHA256, salt).extract(input);
    let mut fill = || pseudorandom.expand(&[info], Length(N))?.fill(&mut derived);
    fill().map_err(|_: ring::error::Unspecified| "no key can be derived")?;
    Ok(derived)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).expect("base64url")
    }

    /// RFC 8291, section 5 and appendix A.
    #[test]
    fn seals_as_the_example_of_the_standard() {
        let shared = bytes("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs");
        let own =
            bytes("BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8");
        let browser =
            bytes("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4");
        let auth = bytes("BTBZMqHH6r4Tts7J_aSIgg");
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().expect("16 bytes");
        let plain = b"When I grow up, I want to be a watermelon";
        let sealed = seal_with(plain, &shared, &own, &browser, &auth, salt).expect("good keys");
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        assert_eq!(URL_SAFE_NO_PAD.encode(sealed), expected);
    }

    #[test]
    fn a_wrong_key_is_an_error() {
        assert!(seal(b"x", &[4; 65], &[0; 16]).is_err());
        assert!(seal(b"x", &[], &[]).is_err());
    }
}
