//! The devices of a neighbourhood, from the same CSV file that the gateway imports.
//!
//! Columns are found by their heading; only `id`, `kind` and `address` are needed, unknown ones are ignored.

use anyhow::{Context, bail};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    pub id: String,
    pub kind: String,
    /// `native:SD-0312`, `z2m:zigbee2mqtt/kitchen`, `frigate:gate-east`, `modbus:hydrants-east/3`.
    pub address: String,
    pub cell: String,
    pub place: String,
    /// Longitude and latitude in degrees.
    pub position: Option<[f64; 2]>,
    pub silent_after_s: Option<f64>,
}

impl Row {
    /// The address in two: family and the rest.
    pub fn family(&self) -> (&str, &str) {
        self.address.split_once(':').unwrap_or(("", &self.address))
    }
}

/// Reads the file's bytes; UTF-8, with or without a byte-order mark.
pub fn read(csv: &[u8]) -> anyhow::Result<Vec<Row>> {
    let text = std::str::from_utf8(csv).context("the devices file is not UTF-8; save it as CSV UTF-8")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let headings: Vec<String> = reader.headers()?.iter().map(str::to_lowercase).collect();
    for needed in ["id", "kind", "address"] {
        if !headings.iter().any(|heading| heading == needed) {
            bail!("the devices file has no column `{needed}`; its columns are {}", headings.join(", "));
        }
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record?;
        let field = |name: &str| {
            let at = headings.iter().position(|heading| heading == name);
            at.and_then(|at| record.get(at)).unwrap_or_default().to_owned()
        };
        let number = |name: &str| field(name).parse::<f64>().ok().filter(|number| number.is_finite());
        if field("id").is_empty() {
            continue; // Excel leaves empty lines at the end.
        }
        rows.push(Row {
            id: field("id"),
            kind: field("kind"),
            address: field("address"),
            cell: field("cell"),
            place: field("place"),
            position: number("lon").zip(number("lat")).map(|(lon, lat)| [lon, lat]),
            silent_after_s: number("silent_after_s"),
        });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_by_heading_with_a_byte_order_mark_and_a_strange_column() {
        let csv = "\u{feff}kind, ID ,note,address,lon,lat\r\nsmoke_detector,SD-1,hm,native:SD-1,118.9,32.1\r\n,,,,,\r\nhydrant,HY-1,,modbus:east/3,,\r\n";
        let rows = read(csv.as_bytes()).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].id.as_str(), rows[0].position), ("SD-1", Some([118.9, 32.1])));
        assert_eq!(rows[1].family(), ("modbus", "east/3"));
    }

    #[test]
    fn says_which_column_is_missing() {
        let error = read(b"id,kind\n").unwrap_err().to_string();
        assert!(error.contains("`address`"), "{error}");
    }
}
