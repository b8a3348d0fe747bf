//! What a device of a profile can be told: a name, and how the bytes are made of it and at most one number. Found by name, written by [`Recipe::bytes`].

use super::shape::{Order, OrderSample};
use crate::orders::PORTS;

/// One thing that a model can be told.
#[derive(Debug)]
pub struct Recipe {
    pub name: String,
    /// LoRaWAN's FPort.
    pub port: u8,
    head: Vec<u8>,
    pub number: Option<Number>,
    pub(super) samples: Vec<OrderSample>,
}

/// The number that stands behind the head.
#[derive(Debug)]
pub struct Number {
    bytes: usize,
    order: Order,
    pub unit: String,
    pub min: u32,
    pub max: u32,
}

impl Recipe {
    /// The error says what to write instead.
    pub(super) fn compile(shape: &super::shape::OrderShape) -> Result<Self, String> {
        if !PORTS.contains(&shape.port) {
            let (first, last) = (PORTS.start(), PORTS.end());
            return Err(format!(
                "port {} cannot be: an application's ports are {first} to {last}",
                shape.port
            ));
        }
        let head = super::from_hex(&shape.hex).filter(|bytes| !bytes.is_empty());
        let head = head.ok_or_else(|| {
            format!("`{}` is no message; write its bytes in hexadecimal, such as \"FF10FF\"", shape.hex)
        })?;
        let number = shape.value.as_ref().map(|value| {
            let unsigned = value.sort.bytes().filter(|_| value.sort.is_unsigned());
            let bytes = unsigned.ok_or("a number that is told is u8, u16, u24 or u32")?;
            match value.order {
                Order::Big | Order::Little => (),
                Order::BigSwapped | Order::LittleSwapped => {
                    return Err("a number that is told is `big` or `little`".to_owned());
                }
            }
            let most = u32::MAX >> (32 - 8 * bytes as u32);
            if value.max < value.min || most < value.max {
                return Err(format!(
                    "`min` and `max` must be in order, and no more than {most} fits into {bytes} bytes"
                ));
            }
            Ok(Number { bytes, order: value.order, unit: value.unit.clone(), min: value.min, max: value.max })
        });
        let recipe = Self {
            name: shape.name.clone(),
            port: shape.port,
            head,
            number: number.transpose()?,
            samples: shape.samples.clone(),
        };
        if recipe.samples.is_empty() {
            return Err(format!("`{}` has no [[order.sample]]; add one from the maker's paper", recipe.name));
        }
        Ok(recipe)
    }

    /// What is sent. The error says what can be given.
    pub fn bytes(&self, value: Option<u32>) -> Result<Vec<u8>, String> {
        let mut bytes = self.head.clone();
        match (&self.number, value) {
            (None, None) => (),
            (Some(number), Some(value)) if (number.min..=number.max).contains(&value) => {
                let all = value.to_be_bytes();
                let mut part = all[all.len() - number.bytes..].to_vec();
                if number.order == Order::Little {
                    part.reverse();
                }
                bytes.extend(part);
            }
            (None | Some(_), None | Some(_)) => {
                return Err(format!("`{}` takes {}", self.name, self.takes()));
            }
        }
        Ok(bytes)
    }

    /// For people: `a value from 60 to 64800 s`.
    pub fn takes(&self) -> String {
        match &self.number {
            None => "no value".into(),
            Some(number) => format!("a value from {} to {} {}", number.min, number.max, number.unit),
        }
    }

    /// As it is written into the log: `report_interval 1200 s`.
    pub fn words(&self, value: Option<u32>) -> String {
        match (&self.number, value) {
            (Some(number), Some(value)) => format!("{} {value} {}", self.name, number.unit),
            (None | Some(_), None | Some(_)) => self.name.clone(),
        }
    }

    /// A sentence for each sample that became something else.
    pub(super) fn failures(&self) -> impl Iterator<Item = String> {
        self.samples.iter().filter_map(|sample| {
            let wanted = super::from_hex(&sample.hex);
            let made = self.bytes(sample.value);
            (made.as_ref().ok() != wanted.as_ref()).then(|| {
                format!(
                    "order `{}` with the value {:?} became {made:02x?}, not {}",
                    self.name, sample.value, sample.hex
                )
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::{OrderShape, OrderValue, Sort};
    use super::*;

    fn shape(sort: Sort, order: Order, max: u32) -> OrderShape {
        let value = OrderValue { sort, order, unit: "s".into(), min: 60, max };
        let samples = vec![OrderSample { value: Some(1_200), hex: "00".into() }];
        OrderShape {
            name: "report_interval".into(),
            port: 85,
            hex: "FF03".into(),
            value: Some(value),
            samples,
        }
    }

    #[test]
    fn a_number_stands_behind_the_head_in_its_order() {
        for (sort, order, wanted) in [
            (Sort::U16, Order::Little, "ff03b004"),
            (Sort::U16, Order::Big, "ff0304b0"),
            (Sort::U24, Order::Big, "ff030004b0"),
            (Sort::U32, Order::Little, "ff03b0040000"),
        ] {
            let recipe = Recipe::compile(&shape(sort, order, 0xffff)).unwrap();
            assert_eq!(recipe.bytes(Some(1_200)).ok(), super::super::from_hex(wanted), "{sort:?} {order:?}");
            assert_eq!(recipe.failures().count(), 1, "the sample is none");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_does() {
        let recipe = Recipe::compile(&shape(Sort::U16, Order::Little, 64_800)).unwrap();
        for value in [None, Some(59), Some(64_801)] {
            assert_eq!(recipe.bytes(value), Err("`report_interval` takes a value from 60 to 64800 s".into()));
        }
        assert!(Recipe::compile(&shape(Sort::U8, Order::Big, 256)).is_err());
        assert!(Recipe::compile(&shape(Sort::F32, Order::Big, 100)).is_err());
        assert!(
            Recipe::compile(&OrderShape { hex: "F".into(), ..shape(Sort::U8, Order::Big, 100) }).is_err()
        );
        assert!(Recipe::compile(&OrderShape { port: 0, ..shape(Sort::U8, Order::Big, 100) }).is_err());
    }
}
