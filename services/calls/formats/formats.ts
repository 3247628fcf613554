/** The readable formats of CDR files, by the names that `--format` takes. */

/**
 * Each has its title for people, and the family of sources of its records unless the import names one. `legs` says what
 * distinguishes the records of one call id: `call_id`, where each record has its own call id, or `fields` (intake/legs.ts).
 */
export const FORMATS = {
  'asterisk-csv': { title: 'Asterisk cdr_csv', source: 'asterisk', legs: 'fields' },
  'asterisk-custom': { title: 'Asterisk cdr_custom', source: 'asterisk', legs: 'fields' },
  'asterisk-header': { title: "Asterisk's fields under a header", source: 'asterisk', legs: 'fields' },
  'freeswitch-example': {
    title: 'FreeSWITCH mod_cdr_csv, template "example"',
    source: 'freeswitch',
    legs: 'call_id',
  },
  'freeswitch-asterisk': {
    title: 'FreeSWITCH mod_cdr_csv, template "asterisk"',
    source: 'freeswitch',
    legs: 'call_id',
  },
  'freeswitch-default': {
    title: 'FreeSWITCH mod_cdr_csv, compiled-in template',
    source: 'freeswitch',
    legs: 'call_id',
  },
  'freeswitch-json': { title: 'FreeSWITCH mod_json_cdr', source: 'freeswitch', legs: 'call_id' },
  'freeswitch-xml': { title: 'FreeSWITCH mod_xml_cdr', source: 'freeswitch', legs: 'call_id' },
  'cisco-cucm': { title: 'Cisco CUCM', source: 'cucm', legs: 'fields' },
  'avaya-smdr': { title: 'Avaya IP Office SMDR', source: 'avaya', legs: 'fields' },
  '3cx-cdr': { title: '3CX cdr.log', source: '3cx', legs: 'fields' },
  mapped: { title: 'CSV with a header and a mapping', source: 'mapped', legs: 'fields' },
} as const satisfies Record<
  string,
  { readonly title: string; readonly source: string; readonly legs: 'call_id' | 'fields' }
>;

export type FormatName = keyof typeof FORMATS;
