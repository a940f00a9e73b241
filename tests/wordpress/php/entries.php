<?php
// A must-use plugin of the tests: as much of GFAPI as an erasure needs (docs.gravityforms.com/api-functions), over an
// option. It comes in when TEST_ENTRIES names this file.

class GFAPI {
	public static function get_entries( $form_ids, $search, $sorting, $paging ) {
		$value = $search['field_filters'][0]['value'];
		$found = array_filter( get_option( 'test_entries', array() ), static fn( $entry ) => in_array( $value, $entry, true ) );
		return array_slice( array_values( $found ), $paging['offset'], $paging['page_size'] );
	}

	public static function delete_entry( $id ) {
		$entries = get_option( 'test_entries', array() );
		unset( $entries[ $id ] );
		update_option( 'test_entries', $entries );
		return true;
	}
}
