// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import { ECDSA } from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice Whether bytes that came from outside are a seat's signature. Never reverts.
library SeatSignature {
    /// @dev False for a zero `signer` whatever the signature is, so that a seat without a key in force signs nothing.
    ///      A signature is 65 bytes with a low `s`; anything else is no signature.
    function isBy(bytes calldata signature, address signer, bytes32 digest) internal pure returns (bool) {
        // slither-disable-next-line unused-return -- the third says more about the problem, all are refused alike
        (address recovered, ECDSA.RecoverError problem,) = ECDSA.tryRecoverCalldata(digest, signature);
        return problem == ECDSA.RecoverError.NoError && recovered == signer;
    }
}
