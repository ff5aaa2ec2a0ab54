/** placeholder contract, replaced within the hour */
export interface AddressSpace { readonly ino: number }
